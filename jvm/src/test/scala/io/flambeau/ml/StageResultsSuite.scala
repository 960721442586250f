package io.flambeau.ml

import org.apache.spark.ml.attribute.AttributeGroup
import org.apache.spark.ml.linalg.{Vector, Vectors}
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.types.{ArrayType, FloatType}

/** The results of the stages, compared with the SQL functions. */
class StageResultsSuite extends StageSuite {

  private def two: DataFrame = pictures(1 -> picture(0xff0000), 2 -> picture(0x204080))

  private def tensors: DataFrame = {
    val session = spark
    import session.implicits._
    Seq((1, Seq(1f, 2f, 3f, 4f)), (2, Seq(5f, 6f, 7f, 8f))).toDF("id", "the.values")
  }

  test("an image featurizer gives a vector of featurize's numbers") {
    val result = imageFeaturizer.transform(two).selectExpr("features", "featurize(content, 'image_tiny')").collect()
    assert(result.length == 2)
    result.foreach(row => assert(row.getAs[Vector](0) == Vectors.dense(row.getSeq[Float](1).map(_.toDouble).toArray)))
  }

  test("the vector column knows its size") {
    val schema = imageFeaturizer.transform(two).schema
    assert(schema("features").dataType == VectorType && !schema("features").nullable)
    assert(AttributeGroup.fromStructField(schema("features")).size == 3)
  }

  test("an array on request") {
    val result = imageFeaturizer.setOutputType("array").transform(two)
    assert(result.schema("features").dataType == ArrayType(FloatType, containsNull = false))
    assert(result.selectExpr("features = featurize(content, 'image_tiny')").collect().forall(_.getBoolean(0)))
  }

  test("nothing runs in transform, and one forward pass a row serves stage and function") {
    val (frame, rows) = countingRows(imageFeaturizer.transform(two).selectExpr("features", "featurize(content, 'image_tiny')"))
    assert(rows == 0)
    assert(countingRows(frame.collect())._2 == 2)
    assert(countingRows(imageFeaturizer.transform(two).select("id").collect())._2 == 0, "an unused result is not computed")
  }

  test("a predictor gives classify's labels, topK of them") {
    val predictor = new DeepImagePredictor().setInputCol("content").setOutputCol("labels").setModelName("image_tiny")
    val result = predictor.transform(two)
    assert(result.selectExpr("labels = classify(content, 'image_tiny')").collect().forall(_.getBoolean(0)))
    assert(predictor.setTopK(1).transform(two).selectExpr("size(labels) = 1 and labels = classify(content, 'image_tiny', 1)")
        .collect().forall(_.getBoolean(0)))
  }

  test("a predictor gives all probabilities in the model's order") {
    val predictor =
      new DeepImagePredictor().setInputCol("content").setOutputCol("p").setModelName("image_tiny").setDecodePredictions(false)
    val classes = predictor.transform(two).selectExpr("p", "classify(content, 'image_tiny', 2)").collect()
    classes.foreach { row =>
      val p = row.getAs[Vector](0)
      assert(p.size == 2 && math.abs(p.toArray.sum - 1) < 1e-5)
      row.getSeq[org.apache.spark.sql.Row](1).foreach(c => assert(p(c.getInt(1)) == c.getFloat(2).toDouble))
    }
    assert(classes.map(_.getAs[Vector](0).argmax).toSeq == Seq(0, 1))
    assert(predictor.setOutputType("array").transform(two).schema("p").dataType == ArrayType(FloatType, containsNull = false))
  }

  test("a model of tensors by mapping, with one pass for all outputs") {
    val stage = new TorchModelTransformer().setModel("tiny").setInputMapping(Map("the.values" -> "x"))
      .setOutputMapping(Map("logits" -> "raw scores", "features" -> "twice"))
    val frame = stage.transform(tensors)
    assert(frame.columns.toSeq == Seq("id", "the.values", "twice", "raw scores"))
    val (rows, forwarded) = countingRows(frame.orderBy("id").collect())
    assert(rows.map(_.getSeq[Float](2)).toSeq == Seq(Seq(2f, 4f, 6f), Seq(10f, 12f, 14f)))
    assert(rows.map(_.getSeq[Float](3)).toSeq == Seq(Seq(2f, 3f, 4f), Seq(6f, 7f, 8f)))
    assert(forwarded == 2)
  }

  test("without mappings columns are named as inputs and outputs; vectors in and out") {
    val data = spark.createDataFrame(Seq(Tuple1(Vectors.dense(1, 2, 3, 4)), Tuple1(Vectors.sparse(4, Seq(1 -> 5.0))))).toDF("x")
    val result = new TorchModelTransformer().setModel("tiny").setOutputType("vector").transform(data)
    assert(result.columns.toSeq == Seq("x", "features", "logits"))
    assert(result.select("features").collect().map(_.getAs[Vector](0)).toSeq == Seq(Vectors.dense(2, 4, 6), Vectors.dense(0, 10, 0)))
  }

  test("transformSchema says what transform gives") {
    val stages = Seq(
      imageFeaturizer,
      imageFeaturizer.setHandleInvalid("keep").setErrorCol("why").setOutputType("array"),
      imageFeaturizer.setHandleInvalid("skip"),
      new DeepImagePredictor().setInputCol("content").setOutputCol("p").setModelName("image_tiny"),
      new DeepImagePredictor().setInputCol("content").setOutputCol("p").setModelName("image_tiny").setDecodePredictions(false))
    stages.foreach { stage =>
      val (promised, given) = (stage.transformSchema(goodAndBad.schema), stage.transform(goodAndBad).schema)
      assert(promised.map(f => (f.name, f.dataType, f.metadata)) == given.map(f => (f.name, f.dataType, f.metadata)))
      if (stage.getHandleInvalid != "skip") assert(promised.map(_.nullable) == given.map(_.nullable), stage.uid)
    }
  }

  test("a stream goes through a stage") {
    withFolder { folder =>
      val data = goodAndBad.where("id < 3")
      data.write.parquet(s"$folder/in")
      val stream = imageFeaturizer.transform(spark.readStream.schema(data.schema).parquet(s"$folder/in"))
      val query = stream.selectExpr("id", "features").writeStream.format("memory").queryName("featurized")
        .option("checkpointLocation", s"$folder/checkpoint").start()
      try query.processAllAvailable()
      finally query.stop()
      assert(spark.table("featurized").count() == 2)
    }
  }

  test("a copy has the parameters, and changed ones do not reach the original") {
    val stage = imageFeaturizer.setHandleInvalid("skip")
    val copied = stage.copy(org.apache.spark.ml.param.ParamMap(stage.outputCol -> "other")).asInstanceOf[DeepImageFeaturizer]
    assert(copied.uid == stage.uid && copied.getOutputCol == "other" && copied.getHandleInvalid == "skip")
    assert(stage.getOutputCol == "features")
    assert(stage.explainParams().contains("handleInvalid: what happens to a row"))
  }
}

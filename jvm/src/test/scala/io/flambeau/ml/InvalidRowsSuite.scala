package io.flambeau.ml

/** `handleInvalid` and `errorCol`: rows that cannot be read, and NULL. */
class InvalidRowsSuite extends StageSuite {

  test("error: a row that cannot be read, or is NULL, fails the query and says why") {
    assertFails("FLAMBEAU_BAD_INPUT", "image_tiny")(imageFeaturizer.transform(goodAndBad.where("id < 4")).collect())
    val failure = assertFails("FLAMBEAU_BAD_INPUT", "column 'content' is NULL", "handleInvalid")(
      imageFeaturizer.transform(goodAndBad.where("id <> 3")).collect())
    assert(failure != null)
    assert(imageFeaturizer.transform(goodAndBad.where("id < 3")).count() == 2)
  }

  test("skip: such rows are dropped, each row goes through the model once") {
    val skipping = imageFeaturizer.setHandleInvalid("skip")
    val (rows, forwarded) = countingRows(skipping.transform(goodAndBad).collect())
    assert(rows.map(_.getInt(0)).toSet == Set(1, 2))
    assert(forwarded == 2)
    assert(skipping.transform(goodAndBad).count() == 2)
  }

  test("keep: the result is NULL, errorCol says why, in the same pass") {
    val keeping = imageFeaturizer.setHandleInvalid("keep").setErrorCol("why")
    val (rows, forwarded) = countingRows(keeping.transform(goodAndBad).orderBy("id").collect())
    assert(forwarded == 2)
    assert(rows.map(_.isNullAt(2)).toSeq == Seq(false, false, true, true))
    assert(rows.map(_.getString(3)).take(2).toSeq == Seq(null, null))
    assert(rows(2).getString(3).startsWith("input 'image': "))
    assert(rows(3).getString(3).contains("'content' is NULL"))
  }

  test("keep: without errorCol, and the reasons alone") {
    val keeping = imageFeaturizer.setHandleInvalid("keep")
    assert(keeping.transform(goodAndBad).where("features is null").select("id").collect().map(_.getInt(0)).toSet == Set(3, 4))
    val reasons = keeping.setErrorCol("why").transform(goodAndBad).where("why is not null").select("id", "why").collect()
    assert(reasons.map(_.getInt(0)).toSet == Set(3, 4))
  }

  test("rows that the program refuses are bad rows") {
    val tensors = spark.range(0, 20, 1, 1).selectExpr("cast(id as int) id", "if(id = 7, array(-1, 0, 0, 0), array(id, 2, 3, 4)) x")
    def stage = new TorchModelTransformer().setModel("raises")
    val kept = stage.setHandleInvalid("keep").setErrorCol("why").transform(tensors).orderBy("id").collect()
    assert(kept.map(_.isNullAt(2)).toSeq == (0 until 20).map(_ == 7))
    assert(kept.filter(!_.isNullAt(4)).map(_.getInt(0)).toSeq == Seq(7) && kept(7).getString(4).contains("must not be negative"))
    assert(stage.setHandleInvalid("skip").transform(tensors).count() == 19)
    assertFails("FLAMBEAU_BAD_INPUT", "row 7 of partition 0")(stage.transform(tensors).collect())
  }

  test("predictor and tensors") {
    val predictor = new DeepImagePredictor().setInputCol("content").setOutputCol("p").setModelName("image_tiny")
      .setDecodePredictions(false).setHandleInvalid("skip")
    assert(predictor.transform(goodAndBad).select("id").collect().map(_.getInt(0)).toSet == Set(1, 2))
    val tensors = spark.sql("SELECT * FROM VALUES (1, array(1f, 2f, 3f, 4f)), (2, array(1f)), (3, null) AS t(id, x)")
    val kept = new TorchModelTransformer().setModel("tiny").setHandleInvalid("keep").setErrorCol("why").transform(tensors).orderBy("id").collect()
    assert(kept.map(r => (r.isNullAt(2), r.isNullAt(3), r.isNullAt(4))).toSeq ==
      Seq((false, false, true), (true, true, false), (true, true, false)))
    val skipped = new TorchModelTransformer().setModel("tiny").setHandleInvalid("skip").transform(tensors)
    assert(skipped.select("id").collect().map(_.getInt(0)).toSeq == Seq(1))
    assertFails("FLAMBEAU_BAD_INPUT", "'x' is NULL")(
      new TorchModelTransformer().setModel("tiny").transform(tensors.where("id <> 2")).collect())
  }
}

package io.flambeau.sql

import java.awt.image.BufferedImage
import java.io.ByteArrayOutputStream
import javax.imageio.ImageIO

import org.apache.spark.ml.linalg.Vectors
import org.apache.spark.sql.{DataFrame, Row}
import org.apache.spark.sql.types._

import io.flambeau.FlambeauSuite
import io.flambeau.conf.FlambeauConf
import io.flambeau.spark.Conditions

/** Inputs that a model can have: encoded images and Spark's image struct, ML vectors, numbers of any width; and inputs that are errors. */
class InputsSuite extends FlambeauSuite {

  private val Red = Seq(1f, 0f, 0f)

  private def encoded(format: String, width: Int = 8, height: Int = 8): Array[Byte] = {
    val image = new BufferedImage(width, height, BufferedImage.TYPE_INT_RGB)
    for (x <- 0 until width; y <- 0 until height) image.setRGB(x, y, 0xff0000)
    val bytes = new ByteArrayOutputStream()
    assert(ImageIO.write(image, format, bytes))
    bytes.toByteArray
  }

  private def images(rows: (String, Array[Byte])*): DataFrame = {
    val session = spark
    import session.implicits._
    rows.toDF("name", "content")
  }

  private def features(df: DataFrame, function: String = "featurize"): Map[String, Seq[Float]] =
    df.selectExpr("name", s"$function(content, 'image_tiny')").collect().map(r => r.getString(0) -> r.getSeq[Float](1)).toMap

  private def near(a: Seq[Float], b: Seq[Float]): Boolean = a.length == b.length && a.zip(b).forall { case (x, y) => math.abs(x - y) < 0.02f }

  test("encoded images, NULL among them") {
    val files = Seq("png", "jpg", "bmp", "gif").map(format => format -> encoded(format, 20, 10)) :+ ("null" -> null)
    val result = features(images(files: _*))
    Seq("png", "jpg", "bmp", "gif").foreach(format => assert(near(result(format), Red), format))
    assert(result("null") == null)
  }

  test("Hugging Face's struct of bytes and path: bytes, NULL, and a path alone") {
    val schema = StructType.fromDDL("name STRING, content STRUCT<bytes: BINARY, path: STRING>")
    val rows = Seq(Row("png", Row(encoded("png"), "a.png")), Row("no path", Row(encoded("jpg"), null)), Row("neither", Row(null, null)), Row("null", null))
    val result = features(spark.createDataFrame(java.util.List.of(rows: _*), schema))
    assert(near(result("png"), Red) && near(result("no path"), Red) && result("neither") == null && result("null") == null)
    val pathOnly = spark.createDataFrame(java.util.List.of(Row("path", Row(null, "b.png"))), schema)
    assertFails("FLAMBEAU_BAD_INPUT", "its path 'b.png' is not read by itself", "read_bytes(content.path)")(features(pathOnly))
    assert(features(pathOnly, "try_featurize") == Map("path" -> null))
  }

  test("Spark's image struct: BGR, gray, and its mark of an undecodable file, which is NULL") {
    val image = new StructType().add("origin", StringType).add("height", IntegerType).add("width", IntegerType)
      .add("nChannels", IntegerType).add("mode", IntegerType).add("data", BinaryType)
    val schema = new StructType().add("name", StringType).add("content", image)
    def pixels(channels: Byte*) = Array.fill(8 * 8)(channels).flatten
    val rows = java.util.List.of(
      Row("bgr", Row("", 8, 8, 3, 16, pixels(0, 0, -1))),
      Row("bgra", Row("", 8, 8, 4, 24, pixels(0, 0, -1, -1))),
      Row("gray", Row("", 8, 8, 1, 0, pixels(-1))),
      Row("undecodable", Row("", -1, -1, -1, -1, Array.emptyByteArray)),
      Row("null", null))
    val df = spark.createDataFrame(rows, schema)
    assert(df.where("content IS NOT NULL").selectExpr("featurize(content, 'image_tiny')").schema.head.nullable)
    val result = features(df)
    assert(near(result("bgr"), Red) && near(result("bgra"), Red) && near(result("gray"), Seq(1f, 1f, 1f)))
    assert(result("undecodable") == null && result("null") == null)
  }

  test("images that cannot be read: an error that says why, NULL from try_") {
    val png = encoded("png")
    val bad = Seq(
      "empty" -> Array.emptyByteArray, "text" -> "I am not an image".getBytes, "truncated" -> encoded("jpg", 64, 64).take(300),
      "header only" -> png.take(20))
    bad.foreach { case (name, content) =>
      assertFails("FLAMBEAU_BAD_INPUT", "image_tiny", "try_featurize")(features(images(name -> content)))
    }
    val result = features(images(bad :+ ("png" -> png): _*), "try_featurize")
    assert(near(result("png"), Red))
    bad.foreach { case (name, _) => assert(result(name) == null, name) }
  }

  test("an image of more pixels than allowed is bad input") {
    withConf(FlambeauConf.ImageMaxPixels.key -> "100") {
      assertFails("FLAMBEAU_BAD_INPUT", FlambeauConf.ImageMaxPixels.key)(features(images("large" -> encoded("png", 20, 10))))
      assert(features(images("large" -> encoded("png", 20, 10)), "try_featurize")("large") == null)
      assert(near(features(images("small" -> encoded("png", 8, 8)))("small"), Red))
    }
  }

  test("a column that is no image") {
    val failure = intercept[org.apache.spark.sql.AnalysisException](spark.range(1).selectExpr("featurize(id, 'image_tiny')"))
    assert(Conditions.of(failure) == "DATATYPE_MISMATCH.UNEXPECTED_INPUT_TYPE" && failure.getMessage.contains("image struct"))
  }

  test("ML vectors, dense and sparse") {
    val rows = Seq(Tuple1(Vectors.dense(1, 2, 3, 4)), Tuple1(Vectors.sparse(4, Array(1, 3), Array(5.0, 6.0))), Tuple1(null))
    val result = spark.createDataFrame(rows).toDF("v").selectExpr("featurize(v, 'tiny')").collect().map(_.getSeq[Float](0)).toSeq
    assert(result == Seq(Seq(2f, 4f, 6f), Seq(0f, 10f, 0f), null))
  }

  test("numbers of any width") {
    Seq("tinyint", "smallint", "int", "bigint", "float", "double", "decimal(10, 2)").foreach { kind =>
      val row = rowsOf(s"SELECT featurize(cast(array(1, 2, 3, 4) as array<$kind>), 'tiny')").head
      assert(row.getSeq[Float](0) == Seq(2f, 4f, 6f), kind)
    }
  }

  test("an array with a NULL element, or of another length, is bad input") {
    Seq("array(1, NULL, 3, 4)", "array(1, 2, 3)", "array(1, 2, 3, 4, 5)", "cast(array() as array<float>)").foreach { value =>
      assertFails("FLAMBEAU_BAD_INPUT", "'tiny'")(rowsOf(s"SELECT featurize($value, 'tiny')"))
      assert(rowsOf(s"SELECT try_featurize($value, 'tiny')").head.isNullAt(0), value)
    }
  }
}

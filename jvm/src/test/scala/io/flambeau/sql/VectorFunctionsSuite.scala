package io.flambeau.sql

import org.apache.spark.ml.linalg.Vectors
import org.apache.spark.sql.{DataFrame, Row}
import org.apache.spark.sql.execution.debug.codegenString
import org.apache.spark.sql.functions.col

import io.flambeau.FlambeauSuite
import io.flambeau.functions._
import io.flambeau.spark.Classic

/** `cosine_similarity`, `dot` and `l2_distance`: types, NULLs, mistakes; in generated code and interpreted. */
class VectorFunctionsSuite extends FlambeauSuite {

  private val AllThree = Seq("cosine_similarity(a, b)", "dot(a, b)", "l2_distance(a, b)")

  /** Kept, so that nothing is folded into a constant. */
  private def table(rows: String): DataFrame = spark.sql(s"SELECT * FROM VALUES $rows AS t(a, b)").localCheckpoint()

  private def close(row: Row, expected: Double*): Unit = {
    assert(row.length == expected.length)
    row.toSeq.zip(expected).foreach { case (got: Double, wanted) => assert(math.abs(got - wanted) < 1e-12); case (got, _) => fail(s"$got") }
  }

  /** In generated code, and without it. */
  private def bothWays(body: => Unit): Unit = {
    body
    withConf("spark.sql.codegen.wholeStage" -> "false", "spark.sql.codegen.factoryMode" -> "NO_CODEGEN")(body)
  }

  test("arrays of any numbers, and of two types") {
    Seq("float", "double", "int", "bigint", "decimal(5, 2)").foreach { kind =>
      val df = table(s"(CAST(array(1, 2, 3, 4, 5) AS array<$kind>), CAST(array(5, 4, 3, 2, 1) AS array<double>))").selectExpr(AllThree: _*)
      bothWays(close(df.head(), 35.0 / 55.0, 35.0, math.sqrt(40)))
    }
    close(spark.sql("SELECT dot(right => array(1.5, 2.5), left => array(2, 4))").head(), 13.0)
  }

  test("ML vectors, dense and sparse") {
    val session = spark
    import session.implicits._
    val df = Seq((Vectors.dense(1, 0, 2), Vectors.sparse(3, Array(2), Array(4.0)))).toDF("a", "b")
    close(df.selectExpr(AllThree: _*).head(), 8.0 / (math.sqrt(5) * 4), 8.0, math.sqrt(5))
    close(df.selectExpr("dot(a, array(1, 1, 1))").head(), 3.0)
  }

  test("NULL, NULL inside, empty and of length 0") {
    val rows = Seq("(NULL, array(1.0D))", "(array(1.0D), NULL)", "(array(1.0D, NULL), array(1.0D, 2.0D))", "(array(1.0D, 2.0D), array(NULL, 2.0D))")
    bothWays {
      table(rows.mkString(",")).selectExpr(AllThree: _*).collect().foreach(row => assert(row == Row(null, null, null)))
      assert(table("(array(0.0D, 0.0D), array(3.0D, 4.0D))").selectExpr(AllThree: _*).head() == Row(null, 0.0, 5.0))
      assert(table("(CAST(array() AS array<float>), CAST(array() AS array<float>))").selectExpr(AllThree: _*).head() == Row(null, 0.0, 0.0))
    }
    assert(spark.sql("SELECT dot(NULL, array(1)), cosine_similarity(array(1), NULL)").head() == Row(null, null))
  }

  test("a cosine is never beyond 1, and NaN stays") {
    val df =
      table("(array(0.1F, 0.3F, 0.7F), array(0.1F, 0.3F, 0.7F)), (array(1.1D, 1.3D, 1.7D), array(-1.1D, -1.3D, -1.7D)), (array(double('NaN')), array(1.0D))")
    val cosines = df.selectExpr("cosine_similarity(a, b)").collect().map(_.getDouble(0))
    assert(cosines.filterNot(_.isNaN).forall(cosine => math.abs(cosine) <= 1 && math.abs(cosine) > 1 - 1e-12))
    assert(cosines.count(_.isNaN) == 1)
  }

  test("vectors of different length fail the query with both lengths") {
    Seq("cosine_similarity", "dot", "l2_distance").foreach { name =>
      bothWays {
        assertFails("FLAMBEAU_BAD_INPUT", s"$name: one vector has 2 elements, the other 3") {
          table("(array(1.0F, 2.0F), array(1.0F, 2.0F, 3.0F))").selectExpr(s"$name(a, b)").collect()
        }
        ()
      }
    }
  }

  test("other types and numbers of arguments are refused") {
    assertFails("FLAMBEAU_BAD_ARGUMENT", "dot: right must be an array of numbers or an ML vector, not STRING")(spark.sql("SELECT dot(array(1), 'x')"))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "left must be", "ARRAY<STRING>")(spark.sql("SELECT l2_distance(array('1'), array(1))"))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "right missing")(spark.sql("SELECT cosine_similarity(array(1))"))
  }

  test("Scala functions are the same, and run in generated code") {
    val df = table("(array(1.0F, 2.0F), array(3.0F, 4.0F))")
      .select(cosine_similarity(col("a"), col("b")), dot(col("a"), col("b")), l2_distance(col("a"), col("b")))
    close(df.head(), 11.0 / (math.sqrt(5) * 5), 11.0, math.sqrt(8))
    val code = codegenString(df.asInstanceOf[Classic.Rows[Row]].queryExecution.executedPlan)
    assert(code.contains("java.lang.Double") && code.contains("measure"))
  }
}

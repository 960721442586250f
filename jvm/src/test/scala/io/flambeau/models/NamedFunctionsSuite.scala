package io.flambeau.models

import org.apache.spark.sql.AnalysisException

import io.flambeau.{Flambeau, FlambeauSuite}
import io.flambeau.spark.Conditions

/** Models as functions by name: made by call, by statement, by configuration; described, replaced, dropped. */
class NamedFunctionsSuite extends FlambeauSuite {

  private def described(function: String): String = rowsOf(s"DESCRIBE FUNCTION EXTENDED $function").map(_.getString(0)).mkString("\n")

  test("register, use, describe, list, drop") {
    val ref = Flambeau.register(spark, "triples", "tiny")
    assert(ref.spec.name == "tiny")
    assert(rowsOf("SELECT triples(array(1, 2, 3, 4)), triples(x => array(0, 0, 0, 0))").head.toSeq == Seq(Seq(2f, 4f, 6f), Seq(0f, 0f, 0f)))
    val text = described("triples")
    Seq("triples(x) - The features of the model tiny, as array<float>", "x (tensor f32 [4])", "logits (scores, f32 [3], 3 labels)",
      "license: Apache-2.0", ref.location, ref.spec.hash).foreach(part => assert(text.contains(part), text))
    assert(rowsOf("SHOW FUNCTIONS LIKE 'triples'").map(_.getString(0)) == Seq("triples"))
    assert(rowsOf("SHOW USER FUNCTIONS").map(_.getString(0)).contains("triples"))
    spark.sql("DROP TEMPORARY FUNCTION triples")
    assert(Conditions.of(intercept[AnalysisException](rowsOf("SELECT triples(array(1, 2, 3, 4))"))) == "UNRESOLVED_ROUTINE")
  }

  test("by a statement, in that session only") {
    val other = spark.newSession()
    other.conf.set("spark.flambeau.models.path", FlambeauSuite.packages.toString)
    val row = other.sql("SELECT * FROM flambeau_register('pictures', 'image_tiny')").head()
    assert(row.getString(0) == "pictures(image)" && row.getString(1) == "image_tiny" && row.getString(2) == "ARRAY<FLOAT>")
    assert(other.sql("DESCRIBE FUNCTION pictures").collect().map(_.getString(0)).mkString("\n").contains("The features of the model image_tiny"))
    assert(rowsOf("SHOW FUNCTIONS LIKE 'pictures'").isEmpty)
    other.sql("SELECT * FROM flambeau_register(model => 'tiny', name => 'pictures')").collect()
    assert(other.sql("SELECT pictures(array(1, 2, 3, 4))").head().get(0) == Seq(2f, 4f, 6f), "replaced")
  }

  test("wrong names and models") {
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "nope")(Flambeau.register(spark, "f", "nope"))
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "nope")(rowsOf("SELECT * FROM flambeau_register('f', 'nope')"))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "sum")(Flambeau.register(spark, "sum", "tiny"))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "letters, digits")(Flambeau.register(spark, "a b", "tiny"))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "missing")(rowsOf("SELECT * FROM flambeau_register('f')"))
    assertFails("FLAMBEAU_BAD_ARGUMENT", "NULL")(rowsOf("SELECT * FROM flambeau_register(CAST(NULL AS STRING), 'tiny')"))
  }

  test("a function of the configuration is described too, with what it cannot do now") {
    assert(described("tiny_udf").contains("The features of the model tiny"))
    withConf("spark.flambeau.models.path" -> "/nowhere") {
      assert(described("tiny_udf").contains("It cannot be used now"))
    }
  }
}

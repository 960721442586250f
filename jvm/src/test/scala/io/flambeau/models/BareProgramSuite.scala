package io.flambeau.models

import java.nio.file.{Files, Path}

import io.flambeau.FlambeauSuite
import io.flambeau.files.LocalFiles

/** A TorchScript file with a description next to it. */
class BareProgramSuite extends FlambeauSuite {

  private lazy val folder = Files.createTempDirectory("flambeau-programs")

  private val Inputs = "[[input]]\nname = \"x\"\nkind = \"tensor\"\nshape = [4]\n"
  private val Features = "[[output]]\nname = \"doubled\"\nrole = \"features\"\nshape = [3]\n"
  private val Scores = "[[output]]\nname = \"logits\"\nrole = \"scores\"\nshape = [3]\n"

  override protected def afterAll(): Unit = {
    LocalFiles.deleteFolder(folder)
    super.afterAll()
  }

  private def program(name: String, description: String): Path = {
    Files.copy(FlambeauSuite.packages.resolve("tiny/model.pt"), folder.resolve(s"$name.pt"))
    Files.writeString(folder.resolve(s"$name.toml"), description)
    folder.resolve(s"$name.pt")
  }

  test("the least description: what goes in and what comes out") {
    val net = program("net", Inputs + Features + Scores)
    val row = rowsOf(s"SELECT featurize(v, '$net'), infer('$net', v), classify(v, '$net', 1)[0].label FROM VALUES (array(1, 2, 3, 4)) AS t(v)").head
    assert(row.get(0) == Seq(2f, 4f, 6f))
    assert(row.getStruct(1).getAs[scala.collection.Seq[Float]]("doubled") == Seq(2f, 4f, 6f))
    assert(row.getString(2) == "2")
  }

  test("labels are a file beside it; its name works under models.path") {
    Files.writeString(folder.resolve("letters.txt"), "a\nb\nc\n")
    program("labeled", s"license = \"MIT\"\n$Inputs$Features${Scores}labels = \"letters.txt\"\n")
    withConf("spark.flambeau.models.path" -> folder.toString) {
      assert(rowsOf("SELECT classify(v, 'labeled', 1)[0].label FROM VALUES (array(1, 2, 3, 4)) AS t(v)").head.getString(0) == "c")
      Files.writeString(folder.resolve("letters.txt"), "x\ny\nanother label\n")
      assert(rowsOf("SELECT classify(v, 'labeled', 1)[0].label FROM VALUES (array(1, 2, 3, 4)) AS t(v)").head.getString(0) == "another label")
    }
  }

  test("what is missing or wrong is said") {
    val alone = folder.resolve("alone.pt")
    Files.copy(FlambeauSuite.packages.resolve("tiny/model.pt"), alone)
    assertFails("FLAMBEAU_UNKNOWN_MODEL", "alone.toml")(rowsOf(s"SELECT featurize(array(1), '$alone')"))
    val outside = program("outside", s"$Inputs${Scores}labels = \"../letters.txt\"\n")
    assertFails("FLAMBEAU_BAD_MODEL", "not a file beside it")(rowsOf(s"SELECT classify(array(1), '$outside')"))
    val misspelt = program("misspelt", Inputs + Features + "color = 1\n")
    assertFails("FLAMBEAU_BAD_MODEL", "color")(rowsOf(s"SELECT featurize(array(1), '$misspelt')"))
  }
}

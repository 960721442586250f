package io.flambeau.ml

import java.nio.file.Files

import org.apache.spark.ml.Estimator
import org.scalatest.funsuite.AnyFunSuite

/** The parameters in Python are those of the stages. */
class PythonParamsSuite extends AnyFunSuite {
  test("the generated Python classes are not stale") {
    assert(
      Files.readString(PythonParams.repository.resolve(PythonParams.File)) == PythonParams.text,
      s"${PythonParams.File} is stale: run ./gradlew pythonParams, and commit it")
  }

  test("the guide on training has every parameter of the estimators, with its default") {
    val told = Files.readString(PythonParams.repository.resolve("docs/training.md")).linesIterator.map(_.split('|').map(_.trim)).collect {
      case Array("", names, defaults, _*) if names.startsWith("`") => names.split(", ").map(unquoted).zipAll(defaults.split(", ").map(unquoted), "", defaults)
    }.flatten.toMap
    val estimators = PythonParams.stages.map(_._2).filter(_.isInstanceOf[Estimator[_]])
    assert(estimators.length == 5)
    for (stage <- estimators; param <- stage.params) {
      val default = stage.getDefault(param).map(shown)
      val expected = if (ByStage(param.name)) told.get(param.name).toSeq else default.fold(Seq("–", "", "the first"))(Seq(_))
      assert(told.get(param.name).exists(expected.contains), s"docs/training.md: ${param.name} of ${stage.getClass.getSimpleName} has the default $default")
    }
  }

  /** The guide tells them in words. */
  private val ByStage = Set("loss", "predictionCol", "probabilityCol", "rawPredictionCol")

  private def unquoted(cell: String): String = cell.stripPrefix("`").stripSuffix("`")

  private def shown(default: Any): String = default match {
    case number: Double if number == 0 => "0"
    case array: Array[_] if array.isEmpty => "none"
    case other => other.toString
  }
}

package io.flambeau.ml

import java.nio.file.{Files, Path, Paths}

import org.apache.spark.ml.param._

/**
 * Writes the parameters of the stages as Python classes (`python/flambeau/ml/_generated_params.py`), from the stages themselves: names,
 * types, documentation and defaults. `./gradlew pythonParams` runs it, and [[PythonParamsSuite]] says when the file is stale.
 *
 * A Scala trait becomes a Python class with the same name, next to the types of its keyword arguments. A parameter whose documentation or
 * default depends on the stage is in the class of the stage. Columns that Spark ML shares come from PySpark's own classes.
 */
object PythonParams {

  val File = "python/flambeau/ml/_generated_params.py"

  /** What the Python classes of stages are called, with a stage of each. */
  val stages: Seq[(String, Params)] = Seq(
    "Featurizer" -> new DeepImageFeaturizer, "Predictor" -> new DeepImagePredictor, "Transformer" -> new TorchModelTransformer,
    "Classifier" -> new TorchClassifier, "Regressor" -> new TorchRegressor, "Estimator" -> new TorchEstimator,
    "Grouped" -> new GroupedTorchRegressor, "GroupedClassifier" -> new GroupedTorchClassifier)

  /** What Python takes in place of a text. */
  private val Converters: Map[String, (String, String)] =
    Seq("model", "modelName").map(_ -> ("Model", "model")).toMap ++ Seq("checkpointDir", "resumeFrom", "logDir").map(_ -> ("Path", "path")) ++
      Seq("inputMapping", "outputMapping").map(_ -> ("Mapping[str, str]", "mapping")) + ("learningRateFactors" -> ("Mapping[str, float]", "factors"))

  private val Ours = "io.flambeau.ml"
  private val Sparks = "org.apache.spark.ml.param.shared"

  /** A parameter of a stage, and the trait that declares it, if one does. */
  private final case class Found(stage: String, param: Param[_], owner: Option[Class[_]], default: Option[Any]) {
    def name: String = param.name
    def isSparks: Boolean = owner.exists(_.getPackageName == Sparks)
  }

  private val found: Seq[Found] = stages.flatMap { case (name, stage) =>
    stage.params.toSeq.distinct.map(param => Found(name, param, ownerOf(stage.getClass, param.name), stage.getDefault(param)))
  }

  private def ownerOf(stage: Class[_], param: String): Option[Class[_]] =
    traitsOf(stage).filter(each => Set(Ours, Sparks)(each.getPackageName))
      .find(_.getDeclaredMethods.exists(method => method.getName == param && method.getParameterCount == 0))

  private def traitsOf(stage: Class[_]): Seq[Class[_]] =
    if (stage == null) Nil else (stage.getInterfaces.toSeq.flatMap(each => each +: traitsOf(each)) ++ traitsOf(stage.getSuperclass)).distinct

  /** Whether all stages that have this parameter of a trait tell the same of it. */
  private def isSame(of: Found)(what: Found => Any): Boolean =
    found.filter(other => other.owner == of.owner && other.name == of.name).map(what).distinct.length == 1

  private def inTrait(one: Found): Boolean = !one.isSparks && one.owner.isDefined && isSame(one)(_.param.doc)
  private def defaultInTrait(one: Found): Boolean = inTrait(one) && isSame(one)(each => each.default.map(literal))

  private def traits: Seq[(String, Seq[Found])] =
    found.filter(inTrait).groupBy(_.owner.map(_.getSimpleName).mkString).toSeq.sortBy(_._1)
      .map { case (name, all) => name -> all.distinctBy(_.name).sortBy(_.name) }

  private def literal(value: Any): String = value match {
    case flag: Boolean => if (flag) "True" else "False"
    case text: String => quoted(text)
    case array: Array[_] => array.map(literal).mkString("[", ", ", "]")
    case number => number.toString
  }

  private def quoted(text: String): String = "\"" + text.replace("\\", "\\\\").replace("\"", "\\\"") + "\""

  /** The type in Python, and its converter. */
  private def typed(param: Param[_]): (String, String) = param match {
    case _: IntParam | _: LongParam => ("int", "TypeConverters.toInt")
    case _: DoubleParam => ("float", "TypeConverters.toFloat")
    case _: BooleanParam => ("bool", "TypeConverters.toBoolean")
    case _: IntArrayParam => ("list[int]", "TypeConverters.toListInt")
    case _: DoubleArrayParam => ("list[float]", "TypeConverters.toListFloat")
    case _: StringArrayParam => ("list[str]", "TypeConverters.toListString")
    case _ => ("str", "TypeConverters.toString")
  }

  private def argument(one: Found): String = {
    val kind = Converters.get(one.name).fold(typed(one.param)._1)(_._1)
    s"    ${one.name}: $kind${if (one.default.isEmpty) " | None" else ""}"
  }

  private def declared(one: Found): String = {
    val (kind, converter) = typed(one.param)
    s"    ${one.name}: Param[$kind] = param(${quoted(one.name)}, ${quoted(one.param.doc)}, ${Converters.get(one.name).fold(converter)(_._2)})"
  }

  private def defaults(of: Seq[Found]): Seq[String] = {
    val lines = of.flatMap(one => one.default.map(value => s"            ${quoted(one.name)}: ${literal(value)},"))
    if (lines.isEmpty) Nil
    else Seq("", "    def _defaults(self) -> dict[str, Any]:", "        return {", "            **super()._defaults(),") ++ lines :+ "        }"
  }

  private def argumentsOf(owner: String): String = owner.stripPrefix("Has") + "Keywords"

  private def ofTrait(name: String, all: Seq[Found]): Seq[String] =
    Seq(s"class ${argumentsOf(name)}(TypedDict, total=False):", s"    \"\"\"Arguments of `$name`.\"\"\"") ++ all.map(argument) ++ Seq("", "") ++
      Seq(s"class $name(Keywords):", s"    \"\"\"As $Ours.$name.\"\"\"") ++ all.map(declared) ++ defaults(all.filter(defaultInTrait)) ++ Seq("", "")

  private def ofStage(stage: String): Seq[String] = {
    val all = found.filter(_.stage == stage).sortBy(_.name)
    val owners = all.filter(inTrait).flatMap(_.owner).map(_.getSimpleName).distinct.sorted
    val shared = all.filter(_.isSparks).flatMap(_.owner).map(_.getSimpleName).distinct.sorted
    val (ours, own) = all.partition(inTrait)
    val body = own.filterNot(_.isSparks).map(declared)
    Seq(s"class ${stage}Keywords(${(owners.map(argumentsOf) :+ "total=False").mkString(", ")}):", s"    \"\"\"Arguments of ${named(stage)}.\"\"\"") ++
      own.map(argument) ++ Seq("", "") ++
      Seq(s"class ${stage}Params(${(owners ++ shared).mkString(", ")}):", s"    \"\"\"The parameters of ${named(stage)}.\"\"\"") ++
      (if (body.isEmpty) Nil else "" +: body) ++ defaults(own ++ ours.filterNot(defaultInTrait)) ++ Seq("", "")
  }

  private def named(stage: String): String = stages.collect { case (`stage`, one) => s"`${one.getClass.getSimpleName}`" }.mkString

  /** The file. */
  def text: String = {
    val shared = found.filter(_.isSparks).flatMap(_.owner).map(_.getSimpleName).distinct.sorted
    val head = Seq(
      "\"\"\"The parameters of the stages, as the jar declares them. Generated by `./gradlew pythonParams`: change the Scala traits in",
      s"$Ours instead. What each does and when to change it: docs/training.md, docs/guides.\"\"\"", "", "# fmt: off", "",
      "from __future__ import annotations", "", "import os", "from collections.abc import Mapping", "from typing import Any, TypedDict, Union", "",
      "from pyspark.ml.param import Param, TypeConverters", "from pyspark.ml.param.shared import (") ++ shared.map(name => s"    $name,") ++ Seq(
      ")", "", "from ._params import Keywords, Model, factors, mapping, model, param, path", "", "Path = Union[str, \"os.PathLike[str]\"]", "", "")
    (head ++ traits.flatMap { case (name, all) => ofTrait(name, all) } ++ stages.map(_._1).flatMap(ofStage)).mkString("\n").trim + "\n"
  }

  def repository: Path = Paths.get(sys.props.getOrElse("flambeau.repository", ".")).toAbsolutePath

  def main(arguments: Array[String]): Unit = {
    Files.writeString(repository.resolve(File), text)
    ()
  }
}

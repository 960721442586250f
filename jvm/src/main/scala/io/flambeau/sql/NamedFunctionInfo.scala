package io.flambeau.sql

import scala.util.control.NonFatal

import org.apache.spark.sql.catalyst.expressions.ExpressionInfo

import io.flambeau.models.{InputKind, ModelRef, OutputSpec, TensorSpec}

/**
 * The text of `DESCRIBE FUNCTION [EXTENDED]` for a function of one model. The model is looked up by the statement, in its
 * session, so that the text describes the model that a query would use now. Driver only.
 *
 * @param resolve
 *   the model, as a query would find it
 */
private[sql] final class NamedFunctionInfo(name: String, model: String, resolve: () => ModelRef)
    extends ExpressionInfo(classOf[ModelCall].getName, null, name, "", "", "", "", "", "", "", "scala_udf") {

  override def getUsage: String =
    describe(s"$name(inputs...) - The model '$model'.") { ref =>
      val task = ModelFunctions.taskOf(ref.spec)
      val k = task match {
        case _: ModelTask.Classify => "[, k]"
        case _: ModelTask.Detect => "[, threshold]"
        case _ => ""
      }
      s"$name(${ref.spec.inputs.map(_.name).mkString(", ")}$k) - ${what(task)} of the model ${ref.spec.name}, as " +
        s"${task.dataType(ref.spec).simpleString}. NULL for NULL; bad input fails the query."
    }

  override def getExtended: String = describe("") { ref =>
    val arguments = ref.spec.inputs.map(input => s"      * ${input.name} - ${argument(input)}\n")
    val k = ModelFunctions.taskOf(ref.spec) match {
      case ModelTask.Classify(default) => s"      * k - maximum number of labels, a whole number literal; default $default\n"
      case ModelTask.Detect(default) => s"      * threshold - objects with this score or less are left out, a number literal from 0 to 1; default $default\n"
      case _ => ""
    }
    val facts = Seq(
      "name" -> ref.spec.name,
      "description" -> ref.spec.description,
      "license" -> ref.spec.license,
      "location" -> ref.location,
      "sha256" -> s"${ref.spec.hash} (model.toml)",
      "inputs" -> ref.spec.inputs.map(tensor).mkString(", "),
      "outputs" -> ref.spec.outputs.map(output).mkString(", "))
    val model = facts.collect { case (key, value) if value.nonEmpty => s"      $key: $value\n" }
    s"\n    Arguments:\n${arguments.mkString}$k\n    Model:\n${model.mkString}\n    Examples:\n      > SELECT $name(" +
      s"${ref.spec.inputs.map(_.name).mkString(", ")}) FROM t;\n  "
  }

  private def describe(otherwise: String)(of: ModelRef => String): String =
    try of(resolve())
    catch { case NonFatal(cause) => s"$otherwise It cannot be used now: ${cause.getMessage}".trim }

  private def what(task: ModelTask): String = task match {
    case ModelTask.Featurize => "The features"
    case ModelTask.Classify(k) => s"The $k most probable labels, best first,"
    case _: ModelTask.Detect => "The objects, best first, with boxes in pixels of the picture,"
    case ModelTask.Segment => "The class of each pixel, and the classes of the picture, the largest first,"
    case ModelTask.Transcribe => "The text and its words"
    case ModelTask.Rerank => "How well the second text fits the first,"
    case ModelTask.Entities => "What the text names"
    case ModelTask.Answer => "The part of the context that answers the question"
    case _ => "Every output"
  }

  private def argument(input: TensorSpec): String = input.kind match {
    case InputKind.Image => "BINARY (an encoded image) or an image struct"
    case InputKind.Audio => "BINARY (an encoded sound)"
    case InputKind.Text => "STRING"
    case _ if input.shape.isEmpty => "a number or boolean"
    case _ => s"numbers in ${"arrays of " * (input.shape.length - 1)}arrays, shape [${input.shape.mkString(", ")}]"
  }

  private def tensor(input: TensorSpec): String =
    if (input.kind == InputKind.Tensor) s"${input.name} (tensor ${input.dtype} [${input.shape.mkString(", ")}])" else s"${input.name} (${input.kind})"

  private def output(output: OutputSpec): String = {
    val labels = if (output.labels > 0) s", ${output.labels} labels" else ""
    s"${output.name} (${output.role}, ${output.dtype} [${output.shape.mkString(", ")}]$labels)"
  }
}

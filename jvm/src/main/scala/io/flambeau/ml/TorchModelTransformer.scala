package io.flambeau.ml

import org.apache.spark.ml.Transformer
import org.apache.spark.ml.param.{Param, ParamMap}
import org.apache.spark.ml.util.{DefaultParamsReadable, Identifiable, MLReader}
import org.apache.spark.sql.catalyst.expressions.{Expression, GetStructField}
import org.apache.spark.sql.types.{ArrayType, StructField, StructType}

import io.flambeau.DidYouMean
import io.flambeau.bridge.Json
import io.flambeau.models.{ModelRef, OutputSpec}
import io.flambeau.sql.ModelTask

/**
 * Any model over any columns: `infer` as a pipeline stage.
 *
 * {{{
 * new TorchModelTransformer()
 *   .setModel("/models/ranker")
 *   .setInputMapping(Map("user_vector" -> "user", "item_vector" -> "item"))
 *   .setOutputMapping(Map("score" -> "rank"))
 * }}}
 *
 * The kind of an input decides about its column's type. For tensors: numbers, booleans, arrays nested by shape, and Spark ML's vectors.
 * Results are scalars and nested arrays as the package declares them. With `outputType = vector`, outputs of one dimension
 * are vectors.
 */
class TorchModelTransformer(override val uid: String) extends PretrainedStage with HasOutputType {
  def this() = this(Identifiable.randomUID("torchModelTransformer"))

  /** Model: a name (looked up in spark.flambeau.models.path, then in jars), a path or a URI. No default. */
  final val model: Param[String] = new Param[String](
    this, "model", "model: a name (looked up in spark.flambeau.models.path, then in jars), a path or a URI", StageParams.notEmpty _)

  /** Column to input of the model, a JSON object. Not set: each input reads the column of its own name. */
  final val inputMapping: Param[String] = new Param[String](
    this, "inputMapping", "which column feeds which input of the model, a JSON object from column to input; not set: columns named as the inputs",
    HasProgram.isMapping _)

  /** Output of the model to column, a JSON object. Not set: every output becomes a column of its own name. */
  final val outputMapping: Param[String] = new Param[String](
    this, "outputMapping", "which output of the model becomes which column, a JSON object from output to column; not set: all outputs, by their names",
    HasProgram.isMapping _)

  setDefault(outputType -> HasOutputType.Array)

  final def getModel: String = $(model)

  def setModel(value: String): this.type = set(model, value)

  final def getInputMapping: Map[String, String] = HasProgram.mapping($(inputMapping))

  def setInputMapping(value: Map[String, String]): this.type = set(inputMapping, Json.write(value))

  final def getOutputMapping: Map[String, String] = HasProgram.mapping($(outputMapping))

  def setOutputMapping(value: Map[String, String]): this.type = set(outputMapping, Json.write(value))

  override private[ml] def modelParam: Param[String] = model

  override private[ml] def evaluation(ref: ModelRef, schema: StructType): Evaluation = {
    val fields = ModelTask.Infer.dataType(ref.spec) match {
      case StructType(all) => all.toSeq
      case other => throw new IllegalStateException(s"infer gives ${other.sql}")
    }
    Evaluation(ref, columnsOf(ref), ModelTask.Infer, outputsOf(ref, fields))
  }

  override def copy(extra: ParamMap): Transformer = defaultCopy(extra)

  /** In the model's order. */
  private def columnsOf(ref: ModelRef): Seq[String] = {
    val inputs = ref.spec.inputs.map(_.name)
    val byColumn = if (isDefined(inputMapping)) getInputMapping else inputs.map(name => name -> name).toMap
    known("inputMapping", "input", ref, byColumn.values.toSeq, inputs)
    inputs.map { input =>
      byColumn.toSeq.filter(_._2 == input).map(_._1) match {
        case Seq(column) => column
        case Seq() => fail(s"inputMapping gives no column to input '$input' of model '${ref.name}'")
        case several => fail(s"inputMapping gives input '$input' of model '${ref.name}' several columns: ${several.sorted.mkString(", ")}")
      }
    }
  }

  /** In the model's order. */
  private def outputsOf(ref: ModelRef, fields: Seq[StructField]): Seq[Output] = {
    val outputs = ref.spec.outputs
    val byOutput = if (isDefined(outputMapping)) getOutputMapping else outputs.map(o => o.name -> o.name).toMap
    known("outputMapping", "output", ref, byOutput.keys.toSeq, outputs.map(_.name))
    if (byOutput.isEmpty) fail("outputMapping is empty, so there is nothing to compute")
    outputs.zip(fields).zipWithIndex.collect {
      case ((output, field), index) if byOutput.contains(output.name) =>
        outputOf(byOutput(output.name), output, field, GetStructField(_, index, Some(field.name)))
    }
  }

  private def outputOf(column: String, output: OutputSpec, field: StructField, value: Expression => Expression): Output =
    field.dataType match {
      case array: ArrayType if asVector && output.shape.length == 1 && Outputs.isVectorLike(array) =>
        Outputs.numbers(column, array, Outputs.size(output.shape), asVector = true)(value)
      case other => Output(column, other, value)
    }

  private def known(param: String, what: String, ref: ModelRef, named: Seq[String], declared: Seq[String]): Unit =
    named.filterNot(declared.contains).headOption.foreach { name =>
      fail(s"$param names the $what '$name'; model '${ref.name}' has ${declared.mkString(", ")}${DidYouMean.hint(name, declared)}")
    }
}

object TorchModelTransformer extends DefaultParamsReadable[TorchModelTransformer] {
  override def read: MLReader[TorchModelTransformer] = SavedPackage.reader(super.read)
  override def load(path: String): TorchModelTransformer = super.load(path)
}

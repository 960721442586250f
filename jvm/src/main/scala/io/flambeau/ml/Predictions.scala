package io.flambeau.ml

import org.apache.spark.ml.attribute.{AttributeGroup, NominalAttribute}
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.catalyst.expressions.{Cast, Expression, GetArrayItem, GetStructField, Literal}
import org.apache.spark.sql.types.{ArrayType, DataType, DoubleType, FloatType, StructType}

import io.flambeau.models.{ModelSpec, OutputSpec}
import io.flambeau.sql.ModelTask

/** The columns of Spark ML that trained models add, from what `infer` gives for a program. */
private[ml] object Predictions {

  /** Scores, probabilities and the most probable class; those whose column has a name. */
  def ofClasses(spec: ModelSpec, scores: OutputSpec, raw: String, probability: String, prediction: String, thresholds: Option[Seq[Double]]): Seq[Output] =
    ofScores(field(spec, scores), Outputs.size(scores.shape), raw, probability, prediction, thresholds)

  /** The same from the scores of `classes` classes, an array of floats, that `value` makes of a result. */
  def ofScores(
      value: Expression => Expression, classes: Long, raw: String, probability: String, prediction: String, thresholds: Option[Seq[Double]]): Seq[Output] = {
    val all = Seq(
      raw -> ((name: String) => Outputs.numbers(name, ArrayType(FloatType, containsNull = false), classes, asVector = true)(value)),
      probability -> ((name: String) =>
        Output(name, VectorType, result => SoftmaxVector(value(result)), new AttributeGroup(name, Math.toIntExact(classes)).toMetadata())),
      prediction -> ((name: String) =>
        Output(name, DoubleType, result => predicted(value(result), thresholds),
          NominalAttribute.defaultAttr.withName(name).withNumValues(Math.toIntExact(classes)).toMetadata())))
    all.collect { case (name, make) if name.nonEmpty => make(name) }
  }

  private def predicted(scores: Expression, thresholds: Option[Seq[Double]]): Expression =
    thresholds.fold[Expression](LargestIndex(scores))(LargestOverThreshold(scores, _))

  /** A number, a vector of several numbers, or nested arrays if there is more than one dimension, as `infer` gives them. */
  def ofNumbers(spec: ModelSpec, output: OutputSpec, prediction: String): Seq[Output] = {
    val value = field(spec, output)
    val one = (output.shape, dataTypeOf(spec, output)) match {
      case (Seq(), _) => Output(prediction, DoubleType, result => Cast(value(result), DoubleType))
      case (Seq(1), _) => Output(prediction, DoubleType, result => Cast(GetArrayItem(value(result), Literal(0)), DoubleType))
      case (Seq(size), array: ArrayType) if isVector(output, array) => Outputs.numbers(prediction, array, size, asVector = true)(value)
      case (_, dataType) => Output(prediction, dataType, value)
    }
    Seq(one)
  }

  /** The type of that column. */
  def numbersType(spec: ModelSpec, output: OutputSpec): DataType = (output.shape, dataTypeOf(spec, output)) match {
    case (Seq() | Seq(1), _) => DoubleType
    case (Seq(_), array: ArrayType) if isVector(output, array) => VectorType
    case (_, dataType) => dataType
  }

  /** Rows of different lengths are arrays: a vector column has one size. */
  private def isVector(output: OutputSpec, array: ArrayType): Boolean = output.shape.forall(_ >= 0) && Outputs.isVectorLike(array)

  private def dataTypeOf(spec: ModelSpec, output: OutputSpec): DataType =
    ModelTask.Infer.dataType(spec).asInstanceOf[StructType](spec.outputs.indexWhere(_.name == output.name)).dataType

  private def field(spec: ModelSpec, output: OutputSpec): Expression => Expression = {
    val index = spec.outputs.indexWhere(_.name == output.name)
    val name = ModelTask.Infer.dataType(spec).asInstanceOf[StructType](index).name
    result => GetStructField(result, index, Some(name))
  }
}

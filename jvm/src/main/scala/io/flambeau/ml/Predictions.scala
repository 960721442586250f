package io.flambeau.ml

import org.apache.spark.ml.attribute.{AttributeGroup, NominalAttribute}
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.catalyst.expressions.{Cast, Expression, GetArrayItem, GetStructField, Literal}
import org.apache.spark.sql.types.{ArrayType, DoubleType, FloatType, StructType}

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
        Output(name, DoubleType, result => predicted(value(result), thresholds), NominalAttribute.defaultAttr.withName(name).withNumValues(Math.toIntExact(classes)).toMetadata())))
    all.collect { case (name, make) if name.nonEmpty => make(name) }
  }

  private def predicted(scores: Expression, thresholds: Option[Seq[Double]]): Expression =
    thresholds.fold[Expression](LargestIndex(scores))(LargestOverThreshold(scores, _))

  /** A number, or a vector of several. */
  def ofNumbers(spec: ModelSpec, output: OutputSpec, prediction: String): Seq[Output] = {
    val value = field(spec, output)
    val one = output.shape match {
      case Seq() => Output(prediction, DoubleType, result => Cast(value(result), DoubleType))
      case Seq(1) => Output(prediction, DoubleType, result => Cast(GetArrayItem(value(result), Literal(0)), DoubleType))
      case shape => Outputs.numbers(prediction, ArrayType(FloatType, containsNull = false), Outputs.size(shape), asVector = true)(value)
    }
    Seq(one)
  }

  private def field(spec: ModelSpec, output: OutputSpec): Expression => Expression = {
    val index = spec.outputs.indexWhere(_.name == output.name)
    val name = ModelTask.Infer.dataType(spec).asInstanceOf[StructType](index).name
    result => GetStructField(result, index, Some(name))
  }
}

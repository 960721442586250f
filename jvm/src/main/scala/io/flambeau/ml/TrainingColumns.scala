package io.flambeau.ml

import org.apache.spark.ml.attribute.{Attribute, AttributeGroup, BinaryAttribute, NominalAttribute}
import org.apache.spark.ml.linalg.SQLDataTypes.VectorType
import org.apache.spark.sql.{Column, Dataset}
import org.apache.spark.sql.catalyst.expressions.{AttributeReference, Cast, Expression}
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types._

import io.flambeau.DidYouMean
import io.flambeau.bridge.spec.DenseColumn
import io.flambeau.models.{InputKind, ModelRef, ModelStore, OutputRole}
import io.flambeau.spark.ExpressionColumn
import io.flambeau.sql.{ModelCall, ModelInputs, ModelTask, VectorValues}
import io.flambeau.train.{InputColumn, LabelColumn}

/*
 * Which columns an estimator takes, and how they reach the workers. Driver only; nothing is computed here. `fail` reports, in the
 * estimator's name, why a column cannot be used.
 */

/** The labels of classes, as far as the column's metadata have them. */
private[ml] final case class ClassLabels(names: Option[Seq[String]], count: Option[Int])

/** The columns of a dataset, by their use in an estimator. */
private[ml] final class TrainingColumns(schema: StructType, fail: String => Nothing) {

  def field(column: String): StructField =
    schema.fields.find(_.name == column).getOrElse(
      fail(s"there is no column '$column'; the columns are ${schema.fieldNames.mkString(", ")}${DidYouMean.hint(column, schema.fieldNames)}"))

  /** Numbers, as doubles. */
  def number(dataset: Dataset[_], column: String): Column = {
    checkNumber(column)
    dataset.col(ModelStage.quoted(column)).cast(DoubleType)
  }

  def checkNumber(column: String): Unit = field(column).dataType match {
    case _: NumericType | BooleanType => ()
    case _: StringType => fail(s"column '$column' is STRING: convert it to classes with StringIndexer, or cast it to numbers")
    case other => fail(s"column '$column' must have numbers, but it is ${other.sql}")
  }

  /**
   * A column of labels (numbers or arrays of them) in the dataset of the workers.
   *
   * @param shape
   *   of the output that they are compared with; arrays may be nested like it
   */
  def targets(dataset: Dataset[_], column: String, shape: Seq[Long] = Nil): LabelColumn = {
    checkTargets(column, shape)
    val expression = expressionOf(dataset, column)
    field(column).dataType match {
      case VectorType => LabelColumn(ExpressionColumn.of(VectorValues(expression)), Some(Seq(0)))
      case array: ArrayType =>
        val declared = if (TrainingColumns.rank(array) > 1) shape.map(_.toInt) else Seq(0)
        LabelColumn(ExpressionColumn.of(Cast(expression, TrainingColumns.doubles(array))), Some(declared))
      case _ => LabelColumn(number(dataset, column))
    }
  }

  def checkTargets(column: String, shape: Seq[Long] = Nil): Unit = field(column).dataType match {
    case VectorType => ()
    case array: ArrayType if TrainingColumns.holdsNumbers(array) =>
      val rank = TrainingColumns.rank(array)
      if (rank > 1 && (rank != shape.length || shape.exists(_ < 0))) {
        fail(s"column '$column' is ${array.sql}, but the output has shape ${shape.mkString("[", ", ", "]")}: nest labels as the output, or flatten() them")
      }
    case _ => checkNumber(column)
  }

  def flag(dataset: Dataset[_], column: String): Column = {
    checkFlag(column)
    dataset.col(ModelStage.quoted(column))
  }

  def checkFlag(column: String): Unit = field(column).dataType match {
    case BooleanType => ()
    case other => fail(s"validationIndicatorCol must be BOOLEAN, column '$column' is ${other.sql}")
  }

  /** The metadata of a column of numbers; Spark ML only adds them to such columns. */
  def classLabels(column: String): ClassLabels = field(column).dataType match {
    case _: NumericType => classLabels(Attribute.fromStructField(field(column)))
    case _ => ClassLabels(None, None)
  }

  private def classLabels(attribute: Attribute): ClassLabels = attribute match {
    case nominal: NominalAttribute => ClassLabels(nominal.values.map(_.toSeq), nominal.values.map(_.length).orElse(nominal.getNumValues))
    case binary: BinaryAttribute => ClassLabels(binary.values.map(_.toSeq), Some(2))
    case _ => ClassLabels(None, None)
  }

  /** Vectors and arrays of numbers, as arrays of floats. */
  def features(dataset: Dataset[_], column: String): InputColumn = {
    checkFeatures(column)
    val expression = expressionOf(dataset, column)
    val floats = field(column).dataType match {
      case VectorType => VectorFloats(expression)
      case ArrayType(DoubleType | _: DecimalType, containsNull) => Cast(expression, ArrayType(FloatType, containsNull))
      case _: ArrayType => expression // whole numbers become f32 if inference converts them
      case other => throw new IllegalStateException(s"checked before: ${other.sql}")
    }
    val size = field(column).dataType match {
      case VectorType => AttributeGroup.fromStructField(field(column)).size
      case _ => -1
    }
    InputColumn(TrainingColumns.Features, ExpressionColumn.of(floats), Some(DenseColumn(Seq(math.max(size, 0)), "f32")))
  }

  def checkFeatures(column: String): Unit = field(column).dataType match {
    case VectorType | ArrayType(_: NumericType, _) => ()
    case other =>
      fail(s"column '$column' must have vectors or arrays of numbers, but it is ${other.sql}; for images, sounds and texts set modelName " +
        "to a model that computes features")
  }

  /** The features that a model makes of a column. */
  def featurized(dataset: Dataset[_], column: String, ref: ModelRef, nullOnError: Boolean): InputColumn = {
    checkFeaturizer(column, ref)
    val call = ModelCall(Seq(ModelInputs.adapt(expressionOf(dataset, column), ref.spec.inputs.head, nullOnError)), ref, ModelTask.Featurize, nullOnError)
    val size = ref.spec.output(OutputRole.Features).map(_.shape.product.toInt)
    InputColumn(TrainingColumns.Features, ExpressionColumn.of(call), Some(DenseColumn(size.toSeq, "f32")))
  }

  def checkFeaturizer(column: String, ref: ModelRef): Unit = {
    if (ref.spec.inputs.length != 1) fail(s"modelName must be a model with one input, '${ref.name}' has ${ref.spec.inputs.length}")
    if (ref.spec.output(OutputRole.Features).isEmpty)
      fail(s"modelName must be a model with features, '${ref.name}' gives ${ref.spec.outputs.map(_.name).mkString(", ")}")
    input(column, ref, 0)
  }

  /** A column as an input of a trainable package. */
  def input(dataset: Dataset[_], column: String, ref: ModelRef, index: Int): InputColumn = {
    val declared = ref.spec.inputs(index)
    input(column, ref, index)
    val adapted = ModelInputs.adapt(expressionOf(dataset, column), declared)
    InputColumn(declared.name, ExpressionColumn.of(adapted),
      if (declared.kind == InputKind.Tensor) Some(DenseColumn(declared.shape.map(_.toInt), declared.dtype)) else None)
  }

  def input(column: String, ref: ModelRef, index: Int): Unit = {
    val declared = ref.spec.inputs(index)
    val adapted = ModelInputs.adapt(AttributeReference(column, field(column).dataType)(), declared)
    if (!ModelInputs.accepts(declared, adapted.dataType)) {
      fail(s"input '${declared.name}' (${declared.kind}) of model '${ref.name}' does not take column '$column', which is ${field(column).dataType.sql}")
    }
  }

  private def expressionOf(dataset: Dataset[_], column: String): Expression = ExpressionColumn.expression(dataset.col(ModelStage.quoted(column)))
}

private[ml] object TrainingColumns {

  /** The workers' column of features. */
  val Features = "features"

  /** How deep arrays are nested. */
  def rank(dataType: DataType): Int = dataType match {
    case ArrayType(element, _) => 1 + rank(element)
    case _ => 0
  }

  def holdsNumbers(dataType: DataType): Boolean = dataType match {
    case ArrayType(element, _) => holdsNumbers(element)
    case other => other.isInstanceOf[NumericType]
  }

  /** The same arrays, of doubles. */
  private def doubles(dataType: DataType): DataType = dataType match {
    case ArrayType(element, containsNull) => ArrayType(doubles(element), containsNull)
    case _ => DoubleType
  }

  def resolve(model: String, conf: SQLConf): ModelRef = ModelStore.resolve(model, conf)
}

package io.flambeau.sql

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.analysis.TypeCheckResult
import org.apache.spark.sql.catalyst.analysis.TypeCheckResult.{DataTypeMismatch, TypeCheckSuccess}
import org.apache.spark.sql.catalyst.expressions.{Cast, Expression, UnaryExpression}
import org.apache.spark.sql.catalyst.expressions.codegen.CodegenFallback
import org.apache.spark.sql.catalyst.util.GenericArrayData
import org.apache.spark.sql.types._

import io.flambeau.models.{InputKind, ModelSpec, TensorSpec}
import io.flambeau.spark.NullForNull

/**
 * Which Spark types an input of a model takes.
 *
 *   - image: `BINARY` (an encoded picture), or Spark's image struct
 *   - text: `STRING`
 *   - audio: `BINARY`
 *   - tensor: by its shape's rank, a number or boolean (`[]`), an array of them, an array of arrays and so on; a rank of one
 *     also takes Spark ML's vectors
 *
 * Numbers of any width cross the boundary as they are and become the model's element type there; only decimals (SQL literals such
 * as `1.5`) become doubles here.
 */
object ModelInputs {

  /** Every decimal of this many digits fits a LONG. */
  private val MaxLongDigits = 18

  private val ImageFields: Seq[(String, DataType)] =
    Seq("height" -> IntegerType, "width" -> IntegerType, "nChannels" -> IntegerType, "mode" -> IntegerType, "data" -> BinaryType)

  /** The argument as it crosses the boundary: decimals as doubles, ML vectors as arrays, a bare NULL as the input's own type. */
  def adapt(argument: Expression, input: TensorSpec): Expression =
    if (!argument.resolved) argument
    else argument.dataType match {
      case vector: UserDefinedType[_] if vector.typeName == "vector" => VectorValues(argument)
      case actual =>
        val wanted = adaptType(actual, input)
        if (wanted == actual) argument else Cast(argument, wanted)
    }

  private def adaptType(actual: DataType, input: TensorSpec): DataType = actual match {
    case NullType => naturalType(input)
    // Ids stay exact: a double holds whole numbers up to 2^53 only.
    case decimal: DecimalType if decimal.scale == 0 && decimal.precision <= MaxLongDigits && input.dtype.startsWith("i") => LongType
    case _: DecimalType => DoubleType
    case ArrayType(element, containsNull) if input.kind == InputKind.Tensor =>
      ArrayType(adaptType(element, input.copy(shape = input.shape.drop(1))), containsNull)
    case other => other
  }

  private def naturalType(input: TensorSpec): DataType = input.kind match {
    case InputKind.Text => StringType
    case InputKind.Tensor => input.shape.foldLeft(FloatType: DataType)((inner, _) => ArrayType(inner))
    case _ => BinaryType
  }

  /** Spark's usual mismatch error, with the position, for the first input of the model that does not take its argument's type. */
  def check(arguments: Seq[Expression], spec: ModelSpec): TypeCheckResult =
    arguments.zip(spec.inputs).collectFirst {
      case (argument, input) if !accepts(input, argument.dataType) =>
        DataTypeMismatch(
          errorSubClass = "UNEXPECTED_INPUT_TYPE",
          messageParameters = Map(
            "paramIndex" -> s"'${input.name}' input",
            "requiredType" -> required(input),
            "inputSql" -> quoted(argument.sql),
            "inputType" -> (quoted(argument.dataType.sql) + pathHint(input, argument.dataType))))
    }.getOrElse(TypeCheckSuccess)

  /** Whether a column of this type can feed this input. */
  def accepts(input: TensorSpec, actual: DataType): Boolean = input.kind match {
    case InputKind.Image => actual == BinaryType || isImageStruct(actual)
    case InputKind.Audio => actual == BinaryType
    case InputKind.Text => actual.isInstanceOf[StringType]
    case _ => isTensor(actual, input.shape.length)
  }

  /** Whether this argument can make the result NULL: it can be NULL itself, or Spark's struct of an undecodable image. */
  def mayBeNull(argument: Expression): Boolean = argument.nullable || isImageStruct(argument.dataType)

  private def isImageStruct(actual: DataType): Boolean = actual match {
    case StructType(fields) => ImageFields.forall { case (name, kind) => fields.exists(f => f.name == name && f.dataType == kind) }
    case _ => false
  }

  private def isTensor(actual: DataType, rank: Int): Boolean = actual match {
    case ArrayType(element, _) => rank > 0 && isTensor(element, rank - 1)
    case _: ByteType | _: ShortType | _: IntegerType | _: LongType | _: FloatType | _: DoubleType | _: BooleanType => rank == 0
    case _ => false
  }

  private def quoted(text: String): String = "\"" + text + "\""

  private def required(input: TensorSpec): String = input.kind match {
    case InputKind.Image => "\"BINARY\" (an encoded image) or Spark's image struct"
    case InputKind.Audio => "\"BINARY\" (an encoded sound)"
    case InputKind.Text => "\"STRING\""
    case _ =>
      val rank = input.shape.length
      val numbers = "ARRAY<" * rank + "number" + ">" * rank
      s"${quoted(numbers)} (shape [${input.shape.mkString(", ")}], ${input.dtype}${if (rank == 1) ", or an ML vector" else ""})"
  }

  /** Advice for a column of paths, if the model needs the content of the files. */
  private[flambeau] def pathHint(input: TensorSpec, actual: DataType): String =
    if (actual.isInstanceOf[StringType] && (input.kind == InputKind.Image || input.kind == InputKind.Audio)) {
      " (if these are paths: read the files with spark.read.format('binaryFile'), and give its column content)"
    } else ""
}

/** The values of a Spark ML vector, dense or sparse, as an array of doubles. */
private[flambeau] final case class VectorValues(child: Expression) extends UnaryExpression with NullForNull with CodegenFallback {
  private val Dense = 1

  override def nullable: Boolean = child.nullable

  override def dataType: DataType = ArrayType(DoubleType, containsNull = false)

  override def prettyName: String = "vector_values"

  /** The row is Spark ML's own storage of a vector: kind (0 sparse, 1 dense), size, indices, values. */
  override protected def nullSafeEval(stored: Any): Any = {
    val vector = stored.asInstanceOf[InternalRow]
    val values = vector.getArray(3).toDoubleArray()
    if (vector.getByte(0) == Dense) new GenericArrayData(values)
    else {
      val all = new Array[Double](vector.getInt(1))
      vector.getArray(2).toIntArray().zip(values).foreach { case (index, value) => all(index) = value }
      new GenericArrayData(all)
    }
  }

  override protected def withNewChildInternal(newChild: Expression): VectorValues = copy(child = newChild)
}

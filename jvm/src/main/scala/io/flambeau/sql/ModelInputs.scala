package io.flambeau.sql

import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.analysis.TypeCheckResult
import org.apache.spark.sql.catalyst.analysis.TypeCheckResult.{DataTypeMismatch, TypeCheckSuccess}
import org.apache.spark.sql.catalyst.expressions.{Cast, Expression, UnaryExpression}
import org.apache.spark.sql.catalyst.expressions.codegen.CodegenFallback
import org.apache.spark.sql.catalyst.util.GenericArrayData
import org.apache.spark.sql.types._

import io.flambeau.FlambeauException
import io.flambeau.models.{InputKind, ModelSpec, TensorSpec}
import io.flambeau.spark.{MayFail, NullForNull}

/**
 * Which Spark types an input of a model takes.
 *
 *   - image: `BINARY` (an encoded picture), Spark's image struct, or `STRUCT<bytes: BINARY, path: STRING>` as Hugging Face writes it
 *   - text: `STRING`
 *   - audio: `BINARY`, or that struct
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

  /**
   * The argument as it crosses the boundary: decimals as doubles, ML vectors as arrays, the bytes of Hugging Face's struct, a bare NULL as
   * the input's own type.
   *
   * @param nullOnError
   *   whether a struct that has a path only is NULL, and not an error
   */
  def adapt(argument: Expression, input: TensorSpec, nullOnError: Boolean = false): Expression =
    if (!argument.resolved) argument
    else argument.dataType match {
      case struct: StructType if isFile(input) && EncodedBytes.takes(struct) => EncodedBytes(argument, nullOnError, argument.sql)
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

  /** Whether it takes the content of files. */
  private def isFile(input: TensorSpec): Boolean = input.kind == InputKind.Image || input.kind == InputKind.Audio

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
    case InputKind.Image => "\"BINARY\" (an encoded image), Spark's image struct or STRUCT<bytes: BINARY, path: STRING>"
    case InputKind.Audio => "\"BINARY\" (an encoded sound) or STRUCT<bytes: BINARY, path: STRING>"
    case InputKind.Text => "\"STRING\""
    case _ =>
      val rank = input.shape.length
      val numbers = "ARRAY<" * rank + "number" + ">" * rank
      s"${quoted(numbers)} (shape [${input.shape.mkString(", ")}], ${input.dtype}${if (rank == 1) ", or an ML vector" else ""})"
  }

  /** Advice for a column of paths, if the model needs the content of the files. */
  private[flambeau] def pathHint(input: TensorSpec, actual: DataType): String =
    if (actual.isInstanceOf[StringType] && isFile(input)) {
      " (if these are paths: read_bytes(column) reads the files)"
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

/**
 * The bytes of a `STRUCT<bytes: BINARY, path: STRING>`, as Hugging Face's data sets have pictures and sounds. NULL if both are NULL. A
 * path alone is not read: it is an error that names `read_bytes`, or NULL.
 *
 * @param column
 *   the argument as the user knows it, for the message
 */
private[flambeau] final case class EncodedBytes(child: Expression, nullOnError: Boolean, column: String)
    extends UnaryExpression
    with NullForNull
    with MayFail
    with CodegenFallback {

  private lazy val (bytesAt, pathAt) = child.dataType match {
    case StructType(fields) => (fields.indexWhere(_.name == EncodedBytes.Bytes), fields.indexWhere(_.name == EncodedBytes.Path))
    case other => throw new IllegalStateException(s"a struct was promised, not ${other.sql}")
  }

  override def nullable: Boolean = true

  override def dataType: DataType = BinaryType

  override def prettyName: String = "encoded_bytes"

  override protected def fails: Boolean = !nullOnError

  override protected def nullSafeEval(stored: Any): Any = {
    val file = stored.asInstanceOf[InternalRow]
    if (!file.isNullAt(bytesAt)) file.getBinary(bytesAt)
    else if (file.isNullAt(pathAt) || nullOnError) null
    else {
      val why = s"bytes is NULL in $column, and its path '${file.getUTF8String(pathAt)}' is not read by itself"
      throw new FlambeauException(
        "FLAMBEAU_BAD_INPUT", s"$why. Give coalesce($column.bytes, read_bytes($column.path)).", Map("model" -> "", "cause" -> why), null)
    }
  }

  override protected def withNewChildInternal(newChild: Expression): EncodedBytes = copy(child = newChild)
}

private[flambeau] object EncodedBytes {
  private val Bytes = "bytes"
  private val Path = "path"

  /** Whether it is this struct. */
  def takes(struct: StructType): Boolean =
    struct.fields.exists(f => f.name == Bytes && f.dataType == BinaryType) && struct.fields.exists(f => f.name == Path && f.dataType.isInstanceOf[StringType])
}

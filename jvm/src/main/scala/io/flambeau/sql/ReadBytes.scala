package io.flambeau.sql

import scala.util.control.NonFatal

import org.apache.spark.sql.catalyst.analysis.TypeCheckResult
import org.apache.spark.sql.catalyst.analysis.TypeCheckResult.{DataTypeMismatch, TypeCheckSuccess}
import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeSet, Expression, ExpressionInfo, UnaryExpression, Unevaluable}
import org.apache.spark.sql.catalyst.expressions.Literal.TrueLiteral
import org.apache.spark.sql.catalyst.expressions.codegen.CodegenFallback
import org.apache.spark.sql.catalyst.plans.logical.{LogicalPlan, OrderPreservingUnaryNode}
import org.apache.spark.sql.types.{BinaryType, DataType, NullType, StringType}

import io.flambeau.read.{FileReader, ReadSettings}
import io.flambeau.spark.{MayFail, NullForNull}

/**
 * `read_bytes(path)` and `try_read_bytes(path)`: the content of the file at a path or URI. The one expression for every API.
 *
 * Like [[ModelCall]] it cannot be evaluated by itself, so that no rule of Spark reads a file while it optimizes. [[ExtractReads]] moves
 * it into a [[ReadFiles]] node, which reads ahead. Where that cannot be done it becomes a [[ReadBytesNow]].
 */
private[flambeau] final case class ReadBytes(child: Expression, nullOnError: Boolean)
    extends UnaryExpression
    with Unevaluable
    with NullForNull
    with MayFail {

  override def dataType: DataType = BinaryType

  override def nullable: Boolean = nullOnError || child.nullable

  override protected def fails: Boolean = !nullOnError

  override def prettyName: String = ReadBytes.name(nullOnError)

  override def checkInputDataTypes(): TypeCheckResult = child.dataType match {
    case _: StringType | NullType => TypeCheckSuccess
    case other =>
      DataTypeMismatch(
        errorSubClass = "UNEXPECTED_INPUT_TYPE",
        messageParameters = Map(
          "paramIndex" -> "'path'", "requiredType" -> "\"STRING\" (a path or URI)", "inputSql" -> ReadBytes.quoted(child.sql),
          "inputType" -> ReadBytes.quoted(other.sql)))
  }

  override protected def withNewChildInternal(newChild: Expression): ReadBytes = copy(child = newChild)
}

private[flambeau] object ReadBytes {

  def name(nullOnError: Boolean): String = if (nullOnError) "try_read_bytes" else "read_bytes"

  private def quoted(text: String): String = "\"" + text + "\""

  def in(expression: Expression): Boolean = expression.exists(_.isInstanceOf[ReadBytes])

  def in(plan: LogicalPlan): Boolean = plan.exists(_.expressions.exists(in(_: Expression)))

  /** Both functions, as they are registered. */
  val functions: Seq[ModelFunctions.Definition] = Seq(false, true).map { nullOnError =>
    ModelFunctions.Definition(name(nullOnError), info(nullOnError),
      { arguments => ReadBytes(Arguments.bind(name(nullOnError), arguments, Seq("path"), Nil)("path"), nullOnError) })
  }

  private def info(nullOnError: Boolean): ExpressionInfo = {
    val onError =
      if (nullOnError) "A file that cannot be read gives NULL." else "A file that cannot be read fails the query; try_read_bytes gives NULL instead."
    new ExpressionInfo(
      classOf[ReadBytes].getName, null, name(nullOnError),
      "_FUNC_(path) - The content of the file at the path, as binary. NULL for NULL. " + onError +
        " Files of the next rows are read at the same time (spark.flambeau.read.parallelism).",
      "\n    Arguments:\n      * path - STRING, the path or URI of a file on any file system of Hadoop; without a scheme on the default file system\n  ",
      "\n    Examples:\n      > SELECT size(featurize(_FUNC_(path), 'efficientnet_lite0')) FROM listing LIMIT 1;\n       1280\n  ",
      "", "", "", "", "scala_udf")
  }
}

/** [[ReadBytes]] where Spark evaluates it by itself: one file at a time, when the row needs it. */
private[sql] final case class ReadBytesNow(child: Expression, nullOnError: Boolean)(val settings: ReadSettings)
    extends UnaryExpression
    with CodegenFallback
    with NullForNull
    with MayFail {

  @transient private lazy val reader = new FileReader(settings)

  override def dataType: DataType = BinaryType

  override def nullable: Boolean = nullOnError || child.nullable

  /** So that Spark does not read it while it plans. */
  override def foldable: Boolean = false

  override protected def fails: Boolean = !nullOnError

  override def prettyName: String = ReadBytes.name(nullOnError)

  override protected def otherCopyArgs: Seq[AnyRef] = Seq(settings)

  override protected def nullSafeEval(value: Any): Any = {
    val path = value.toString
    try reader.file(path).read(_ => ())
    catch { case NonFatal(cause) => if (nullOnError) null else throw FileReader.failure(prettyName, path, cause) }
  }

  override protected def withNewChildInternal(newChild: Expression): ReadBytesNow = copy(child = newChild)(settings)
}

/**
 * Adds the content of a file to each row of `child`.
 *
 * @param path
 *   over `child`, a string
 * @param guard
 *   a condition over `child` that is never NULL: the rows whose file is read. The result of others is NULL
 * @param result
 *   binary
 */
private[sql] final case class ReadFiles(path: Expression, guard: Expression, nullOnError: Boolean, result: Attribute, child: LogicalPlan)
    extends OrderPreservingUnaryNode {

  override def output: Seq[Attribute] = child.output :+ result

  override def producedAttributes: AttributeSet = AttributeSet(result)

  override def maxRows: Option[Long] = child.maxRows

  override def maxRowsPerPartition: Option[Long] = child.maxRowsPerPartition

  /** Whether every row has what this read gives. */
  def gives(read: ReadBytes): Boolean = guard == TrueLiteral && nullOnError == read.nullOnError && path.semanticEquals(read.child)

  override protected def withNewChildInternal(newChild: LogicalPlan): ReadFiles = copy(child = newChild)
}

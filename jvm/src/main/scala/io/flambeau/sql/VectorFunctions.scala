package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.{BinaryExpression, Cast, Expression, ExpressionInfo}
import org.apache.spark.sql.catalyst.expressions.codegen.{CodegenContext, ExprCode}
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.types._

import io.flambeau.spark.{MayFail, NullForNull}

/** The SQL functions `cosine_similarity`, `dot` and `l2_distance`: from arguments to a [[VectorComparison]]. Runs on the driver. */
private[flambeau] object VectorFunctions {

  val all: Seq[ModelFunctions.Definition] = VectorMeasure.all.map(measure => ModelFunctions.Definition(measure.name, info(measure), build(measure)))

  /** The argument as an array of floats or doubles. */
  def vector(function: String, parameter: String, argument: Expression): Expression = argument.dataType match {
    case ArrayType(FloatType | DoubleType, _) => argument
    case ArrayType(_: NumericType | NullType, containsNull) => Cast(argument, ArrayType(DoubleType, containsNull))
    case NullType => Cast(argument, ArrayType(DoubleType))
    case ml: UserDefinedType[_] if ml.typeName == "vector" => VectorValues(argument)
    case other => Arguments.fail(function, s"$parameter must be an array of numbers or an ML vector, not ${other.sql}")
  }

  private def build(measure: VectorMeasure): ModelFunctions.Builder = { arguments =>
    val bound = Arguments.bind(measure.name, arguments, Seq("left", "right"), Nil)
    VectorComparison(measure, vector(measure.name, "left", bound("left")), vector(measure.name, "right", bound("right")))
  }

  private def info(measure: VectorMeasure): ExpressionInfo = {
    val (usage, example) = measure match {
      case VectorMeasure.Cosine => ("The cosine of the angle between two vectors. NULL if one has length 0.", "array(1, 0), array(3, 4));\n       0.6")
      case VectorMeasure.Dot => ("The sum of the products of the elements of two vectors.", "array(1, 2), array(3, 4));\n       11.0")
      case VectorMeasure.L2 => ("The length of the difference of two vectors (Euclidean distance).", "array(0, 0), array(3, 4));\n       5.0")
    }
    new ExpressionInfo(
      classOf[VectorComparison].getName, null, measure.name,
      s"_FUNC_(left, right) - $usage A double. NULL if an argument or an element is NULL. Vectors that differ in their number of elements fail the query.",
      "\n    Arguments:\n      * left, right - arrays of numbers, or ML vectors\n  ",
      s"\n    Examples:\n      > SELECT _FUNC_($example\n  ",
      "", "", "", "", "scala_udf")
  }
}

/** Two vectors, arrays of floats or doubles each, compared by a [[VectorMeasure]]. */
private[flambeau] final case class VectorComparison(measure: VectorMeasure, left: Expression, right: Expression)
    extends BinaryExpression
    with NullForNull
    with MayFail {

  override def dataType: DataType = DoubleType

  override def nullable: Boolean = true

  override def prettyName: String = measure.name

  override def toString: String = s"$prettyName($left, $right)"

  override def sql: String = s"$prettyName(${left.sql}, ${right.sql})"

  override protected def fails: Boolean = true

  private def ofFloats(side: Expression): Boolean = side.dataType match {
    case ArrayType(element, _) => element == FloatType
    case other => throw new IllegalStateException(s"an array was promised, not ${other.sql}")
  }

  private lazy val (leftFloats, rightFloats) = (ofFloats(left), ofFloats(right))

  override protected def nullSafeEval(x: Any, y: Any): Any = measure.of(x.asInstanceOf[ArrayData], leftFloats, y.asInstanceOf[ArrayData], rightFloats)

  override protected def doGenCode(ctx: CodegenContext, ev: ExprCode): ExprCode = {
    val compare = ctx.addReferenceObj("measure", measure, classOf[VectorMeasure].getName)
    nullSafeCodeGen(ctx, ev,
      { (x, y) =>
        val result = ctx.freshName("compared")
        s"""
         |java.lang.Double $result = $compare.of($x, $leftFloats, $y, $rightFloats);
         |if ($result == null) {
         |  ${ev.isNull} = true;
         |} else {
         |  ${ev.value} = $result.doubleValue();
         |}
       """.stripMargin
      })
  }

  override protected def withNewChildrenInternal(newLeft: Expression, newRight: Expression): VectorComparison = copy(left = newLeft, right = newRight)
}

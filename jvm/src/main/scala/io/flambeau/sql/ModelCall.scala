package io.flambeau.sql

import org.apache.spark.sql.catalyst.analysis.TypeCheckResult
import org.apache.spark.sql.catalyst.expressions.{Expression, LambdaFunction, NamedLambdaVariable, Unevaluable}
import org.apache.spark.sql.types.DataType

import io.flambeau.models.ModelRef
import io.flambeau.spark.MayFail

/**
 * The one expression for every API: SQL, Scala, PySpark, Connect, ML stages.
 *
 * It cannot be evaluated by itself. [[ExtractModelCalls]] moves it into an [[EvalModel]] node and leaves an attribute in its
 * place. It counts as deterministic (equal calls give equal results), so Spark can move unrelated filters past the projection
 * that holds it.
 *
 * @param inputs
 *   one expression per input of the model, in the model's own order, types as [[ModelInputs]] accepts them
 */
final case class ModelCall(inputs: Seq[Expression], model: ModelRef, task: ModelTask, nullOnError: Boolean)
    extends Expression
    with Unevaluable
    with MayFail {

  def request: ModelRequest = ModelRequest(task, nullOnError)

  /** Whether an input is the variable of a lambda around this call; the variables of lambdas inside its inputs are fine. */
  def isOverLambdaVariable: Boolean = {
    val bound = collect { case lambda: LambdaFunction => lambda.arguments.map(_.exprId) }.flatten.toSet
    exists { case variable: NamedLambdaVariable => !bound.contains(variable.exprId); case _ => false }
  }

  override def children: Seq[Expression] = inputs

  override def nullable: Boolean = nullOnError || inputs.exists(ModelInputs.mayBeNull)

  override def dataType: DataType = task.dataType(model.spec)

  /** A strict call fails on a bad row. Spark never moves it below an operator that removes such rows, and never merges it with one. */
  override protected def fails: Boolean = !nullOnError

  override def checkInputDataTypes(): TypeCheckResult = ModelInputs.check(inputs, model.spec)

  override def prettyName: String = request.function

  override def sql: String = text(inputs.map(_.sql))

  override def toString: String = text(inputs.map(_.toString))

  private def text(inputTexts: Seq[String]): String = {
    val name = s"'${model.name.replace("'", "\\'")}'"
    val arguments = task match {
      case ModelTask.Classify(k) => inputTexts ++ Seq(name, k.toString)
      case ModelTask.Detect(threshold) => inputTexts ++ Seq(name, threshold.toString)
      case ModelTask.Infer => name +: inputTexts
      case _ => inputTexts :+ name
    }
    arguments.mkString(s"$prettyName(", ", ", ")")
  }

  override protected def withNewChildrenInternal(newChildren: IndexedSeq[Expression]): ModelCall = copy(inputs = newChildren)
}

object ModelCall {

  /** Whether this expression holds a call. */
  def in(expression: Expression): Boolean = expression.exists(_.isInstanceOf[ModelCall])
}

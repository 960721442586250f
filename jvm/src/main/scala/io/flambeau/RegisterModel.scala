package io.flambeau

import org.apache.spark.sql.{Row, SparkSession}
import org.apache.spark.sql.catalyst.FunctionIdentifier
import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeReference, Expression, ExpressionInfo}
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan
import org.apache.spark.sql.execution.command.LeafRunnableCommand
import org.apache.spark.sql.types.StringType

import io.flambeau.sql.{Arguments, Constants, ModelFunctions}

/**
 * `SELECT * FROM flambeau_register('sentiment', '/models/sentiment')`: [[Flambeau.register]] as a statement, for sessions that
 * only use SQL (Spark Connect, Thrift, the shell). The function is made when the statement runs, in its session. The result is
 * one row that describes the function.
 */
private[flambeau] object RegisterModel {
  val Name = "flambeau_register"

  val identifier: FunctionIdentifier = FunctionIdentifier(Name)

  val info: ExpressionInfo = new ExpressionInfo(
    classOf[RegisterModelCommand].getName,
    null,
    Name,
    "_FUNC_(name, model) - Turns a model into a SQL function of this session, and returns its inputs and its result.",
    "\n    Arguments:\n      * name - the function's name\n      * model - a path, a URI or a name, as for featurize\n  ",
    "\n    Examples:\n      > SELECT * FROM _FUNC_('sentiment', '/models/sentiment');\n  ",
    "", "", "", "", "scala_udf")

  def build(arguments: Seq[Expression]): LogicalPlan = {
    val bound = Arguments.bind(Name, arguments, Seq("name", "model"), Nil)
    RegisterModelCommand(Constants.text(Name, "name", bound("name")), Constants.text(Name, "model", bound("model")))
  }
}

private[flambeau] final case class RegisterModelCommand(name: String, model: String) extends LeafRunnableCommand {

  override val output: Seq[Attribute] = Seq("function", "model", "result", "location").map(AttributeReference(_, StringType, nullable = false)())

  override def run(session: SparkSession): Seq[Row] = {
    val ref = Flambeau.register(session, name, model)
    val arguments = ref.spec.inputs.map(_.name).mkString(", ")
    Seq(Row(s"$name($arguments)", ref.spec.name, ModelFunctions.taskOf(ref.spec).dataType(ref.spec).sql, ref.location))
  }
}

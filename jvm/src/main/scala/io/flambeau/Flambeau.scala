package io.flambeau

import org.apache.spark.sql.{classic, SparkSession}
import org.apache.spark.sql.catalyst.analysis.FunctionRegistry

import io.flambeau.models.{ModelRef, ModelStore}
import io.flambeau.sql.ModelFunctions

/** What users do with Flambeau beside calling its functions. */
object Flambeau {

  /**
   * Makes a model a SQL function of this session, until the session ends or `DROP TEMPORARY FUNCTION name`: the same as
   * `spark.flambeau.udf.<name>` does for all sessions. Its arguments are the model's inputs; its result is what the package
   * declares first: features give `array<float>`, scores the most probable labels, anything else a struct of all outputs.
   *
   * The model is looked up now, so that a wrong one fails here, and again in each query, which notices changed content.
   *
   * @param session
   *   a session with Flambeau's extension
   * @param name
   *   letters, digits and underscores; a function that was registered under this name is replaced
   * @param model
   *   a path, a URI or a name, as for `featurize`
   * @return
   *   the model
   * @throws FlambeauAnalysisException
   *   FLAMBEAU_UNKNOWN_MODEL, FLAMBEAU_BAD_MODEL, FLAMBEAU_BAD_ARGUMENT for a name that cannot be used, or FLAMBEAU_SETUP for a
   *   session without the extension
   */
  def register(session: SparkSession, name: String, model: String): ModelRef = session match {
    case classicSession: classic.SparkSession =>
      SessionCheck.require(session, "register")
      if (!name.matches("[A-Za-z_][A-Za-z0-9_]*")) refuse(name, "it must be letters, digits and underscores, not beginning with a digit")
      val function = ModelFunctions.named(name, model)
      if (FunctionRegistry.builtin.functionExists(function.identifier)) {
        refuse(name, "a function of this name is there for all sessions")
      }
      val ref = ModelStore.resolve(model, classicSession.sessionState.conf)
      classicSession.sessionState.functionRegistry.registerFunction(function.identifier, function.info, function.build)
      ref
    case _ =>
      throw new UnsupportedOperationException(
        "this session is a Spark Connect client: register by SELECT * FROM flambeau_register(name, model)")
  }

  private def refuse(name: String, why: String): Nothing =
    throw new FlambeauAnalysisException("FLAMBEAU_BAD_ARGUMENT", s"'$name' cannot be the name of a function: $why")
}

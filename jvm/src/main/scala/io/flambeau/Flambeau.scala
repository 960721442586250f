package io.flambeau

import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.analysis.FunctionRegistry

import io.flambeau.models.{ModelRef, ModelStore}
import io.flambeau.spark.Classic
import io.flambeau.sql.{ModelFunctions, SessionCheck}

/** The public methods besides the column functions. */
object Flambeau {

  /**
   * Turns a model into a SQL function of this session, until the session ends or `DROP TEMPORARY FUNCTION name`.
   * `spark.flambeau.udf.<name>` does the same for all sessions. Its arguments are the model's inputs. Its result depends on the
   * first output of the package: `array<float>` for features, the most probable labels for scores, a struct of all outputs otherwise.
   *
   * The model is looked up now, so a wrong one fails here. It is looked up again in each query, which notices changed content.
   *
   * @param session
   *   a session with Flambeau's extension
   * @param name
   *   letters, digits and underscores; an earlier function of this name is replaced
   * @param model
   *   a path, a URI or a name, as for `featurize`
   * @return
   *   the model
   * @throws FlambeauAnalysisException
   *   FLAMBEAU_UNKNOWN_MODEL, FLAMBEAU_BAD_MODEL, FLAMBEAU_BAD_ARGUMENT for a name that cannot be used, or FLAMBEAU_SETUP for a
   *   session without the extension
   */
  def register(session: SparkSession, name: String, model: String): ModelRef = session match {
    case classicSession: Classic.Session =>
      SessionCheck.require(session, "register")
      if (!name.matches("[A-Za-z_][A-Za-z0-9_]*")) refuse(name, "it must have letters, digits and underscores only, and not begin with a digit")
      val function = ModelFunctions.named(name, model)
      if (FunctionRegistry.builtin.functionExists(function.identifier)) {
        refuse(name, "all sessions already have a function of this name")
      }
      val ref = ModelStore.resolve(model, classicSession.sessionState.conf)
      classicSession.sessionState.functionRegistry.registerFunction(function.identifier, function.info, function.build)
      ref
    case _ =>
      throw new UnsupportedOperationException(
        "this session is a Spark Connect client: register with SELECT * FROM flambeau_register(name, model)")
  }

  private def refuse(name: String, why: String): Nothing =
    throw new FlambeauAnalysisException("FLAMBEAU_BAD_ARGUMENT", s"'$name' cannot be the name of a function: $why")
}

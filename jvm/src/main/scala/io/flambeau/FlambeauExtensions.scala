package io.flambeau

import org.apache.spark.SparkEnv
import org.apache.spark.sql.{classic, SparkSession, SparkSessionExtensions}

import io.flambeau.conf.FlambeauConf
import io.flambeau.models.ModelStore
import io.flambeau.sql.{CheckModelCalls, EvalModelStrategy, ExtractModelCalls, ModelFunctions}

/**
 * What `spark.sql.extensions=io.flambeau.FlambeauExtensions` adds to a session: the functions, the named functions of the
 * configuration (`spark.flambeau.udf.<name>=<model>`, as they are when the session is made), and the planning of both.
 */
final class FlambeauExtensions extends (SparkSessionExtensions => Unit) {

  override def apply(extensions: SparkSessionExtensions): Unit = {
    ErrorConditions.makeKnown()
    val functions = ModelFunctions.all ++ named
    ModelFunctions.registerBuiltin(functions)
    functions.foreach(f => extensions.injectFunction((f.identifier, f.info, f.build)))
    extensions.injectCheckRule(_ => CheckModelCalls)
    extensions.injectPreCBORule(_ => ExtractModelCalls)
    extensions.injectPlannerStrategy(_ => EvalModelStrategy)
  }

  private def named: Seq[ModelFunctions.Definition] =
    Option(SparkEnv.get).toSeq.flatMap(_.conf.getAllWithPrefix(FlambeauConf.UdfPrefix)).map { case (name, model) =>
      ModelFunctions.named(name, model)
    }
}

object FlambeauExtensions {

  /**
   * Makes a model a SQL function of this session, until the session ends: the same as `spark.flambeau.udf.<name>` does for
   * all sessions. The model is looked up now, so that a wrong name fails here.
   */
  def register(session: SparkSession, name: String, model: String): Unit = session match {
    case classicSession: classic.SparkSession =>
      ModelStore.resolve(model, classicSession.sessionState.conf)
      val function = ModelFunctions.named(name, model)
      classicSession.sessionState.functionRegistry.registerFunction(function.identifier, function.info, function.build)
    case _ =>
      throw new UnsupportedOperationException(
        s"functions are registered where the session runs: set ${FlambeauConf.UdfPrefix}$name=$model on the Spark Connect server")
  }
}

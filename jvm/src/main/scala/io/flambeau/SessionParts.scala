package io.flambeau

import org.apache.spark.SparkEnv
import org.apache.spark.sql.SparkSessionExtensions

import io.flambeau.conf.{FlambeauConf, SettingsCheck}
import io.flambeau.models.LoadAhead
import io.flambeau.spark.{ClusterFiles, ErrorConditions}
import io.flambeau.sql.{
  CheckModelCalls,
  EvalModelStrategy,
  ExtractModelCalls,
  ExtractReads,
  ModelFunctions,
  NearestFunctions,
  NearestStrategy,
  ReadBytes,
  ReadBytesStrategy,
  TakeColumns,
  TextFunctions,
  VectorFunctions
}
import io.flambeau.ui.ModelsTab

/**
 * What [[FlambeauExtensions]] adds to a session: the functions, the named functions of the configuration
 * (`spark.flambeau.udf.<name>=<model>`, as they are when the session is made), and the planning of both.
 */
private[flambeau] object SessionParts {

  /** @throws FlambeauAnalysisException FLAMBEAU_BAD_SETTING for a wrong setting of the application */
  def addTo(extensions: SparkSessionExtensions): Unit = {
    ErrorConditions.makeKnown()
    SettingsCheck.application()
    LoadAhead.library()
    ClusterFiles.application().foreach(ModelsTab.show(_))
    val functions = ModelFunctions.all ++ TextFunctions.all ++ VectorFunctions.all ++ ReadBytes.functions ++ named
    ModelFunctions.registerBuiltin(functions)
    functions.foreach(f => extensions.injectFunction((f.identifier, f.info, f.build)))
    NearestFunctions.all.foreach(f => extensions.injectTableFunction((f.identifier, f.info, f.build)))
    extensions.injectTableFunction((RegisterModel.identifier, RegisterModel.info, RegisterModel.build))
    extensions.injectCheckRule(_ => CheckModelCalls)
    extensions.injectPreCBORule(_ => ExtractModelCalls)
    extensions.injectPreCBORule(_ => ExtractReads)
    extensions.injectPlannerStrategy(_ => EvalModelStrategy)
    extensions.injectPlannerStrategy(_ => ReadBytesStrategy)
    extensions.injectPlannerStrategy(_ => NearestStrategy)
    extensions.injectColumnar(_ => TakeColumns)
  }

  private def named: Seq[ModelFunctions.Definition] =
    Option(SparkEnv.get).toSeq.flatMap(_.conf.getAllWithPrefix(FlambeauConf.UdfPrefix)).map { case (name, model) =>
      ModelFunctions.named(name, model)
    }
}

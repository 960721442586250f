package io.flambeau.conf

import org.apache.spark.SparkEnv
import org.apache.spark.internal.Logging
import org.apache.spark.sql.internal.SQLConf

import io.flambeau.{DidYouMean, FlambeauAnalysisException}

/**
 * Rejects settings that are not declared, values out of range, and settings that were changed too late. Driver only.
 *
 * Settings of the whole process are checked when a session starts; a wrong one stops it. All others are checked when a session
 * uses a function or a stage, since Spark does not check them, and the user can correct them in the session.
 */
private[flambeau] object SettingsCheck extends Logging {

  private val Names = "[A-Za-z_][A-Za-z0-9_]*"

  /** @throws FlambeauAnalysisException FLAMBEAU_BAD_SETTING, with all wrong settings that a session cannot correct */
  def application(): Unit = {
    val problems = ours(ofProcess).flatMap { case (key, value) => problem(key, value).map(key -> _) }
    val (lasting, others) = problems.partition { case (key, _) => isFixed(key) }
    others.foreach { case (_, text) => logWarning(s"$text. Functions will be refused until it is corrected") }
    if (lasting.nonEmpty) {
      refuse(lasting.map(_._2), "Correct it and restart the application: a running SparkContext keeps its settings until it is stopped.")
    }
  }

  private def isFixed(key: String): Boolean =
    key.startsWith(FlambeauConf.UdfPrefix) || FlambeauConf.all.exists(setting => setting.key == key && setting.perProcess)

  /** @throws FlambeauAnalysisException FLAMBEAU_BAD_SETTING, with all wrong settings */
  def session(conf: SQLConf): Unit = {
    val process = ofProcess
    val problems = ours(conf.getAllConfs).flatMap { case (key, value) =>
      problem(key, value).orElse(tooLate(key, value, process)).map(key -> _)
    }
    if (problems.nonEmpty) {
      val key = problems.head._1
      refuse(problems.map(_._2), s"Correct it, or remove it (RESET $key in SQL, spark.conf.unset('$key') in a program).")
    }
  }

  private def ofProcess: Map[String, String] = Option(SparkEnv.get).fold(Map.empty[String, String])(_.conf.getAll.toMap)

  private def ours(all: Map[String, String]): Seq[(String, String)] = all.toSeq.filter(_._1.startsWith(FlambeauConf.Prefix)).sorted

  private def problem(key: String, value: String): Option[String] =
    FlambeauConf.all.find(_.key == key) match {
      case Some(setting) => setting.problem(value)
      case None if key.startsWith(FlambeauConf.UdfPrefix) => functionProblem(key, value)
      case None => Some(unknown(key))
    }

  private def functionProblem(key: String, model: String): Option[String] =
    if (!key.stripPrefix(FlambeauConf.UdfPrefix).matches(Names)) {
      Some(s"$key does not name a function: a name has letters, digits and underscores, and does not begin with a digit")
    } else if (model.trim.isEmpty) Some(s"$key is empty, but it must be a model: a path, a URI or a name")
    else None

  private def unknown(key: String): String = {
    val known = FlambeauConf.all.map(_.key.stripPrefix(FlambeauConf.Prefix)) :+ FlambeauConf.UdfPrefix.stripPrefix(FlambeauConf.Prefix) + "<name>"
    val advice = DidYouMean.nearest(key.stripPrefix(FlambeauConf.Prefix), known) match {
      case Some(near) => s"did you mean ${FlambeauConf.Prefix}$near?"
      case None => s"the settings are ${known.sorted.mkString(FlambeauConf.Prefix, s", ${FlambeauConf.Prefix}", "")}"
    }
    s"there is no setting $key ($advice)"
  }

  /** Settings that are fixed when the application starts and have another value here. */
  private def tooLate(key: String, value: String, process: Map[String, String]): Option[String] =
    FlambeauConf.all.find(setting => setting.key == key && setting.perProcess) match {
      case Some(setting) if process.getOrElse(key, setting.default).trim != value.trim =>
        Some(s"$key is fixed when the application starts (to '${process.getOrElse(key, setting.default)}'); a session cannot set it to '$value'")
      case None if key.startsWith(FlambeauConf.UdfPrefix) && !process.get(key).contains(value) =>
        Some(
          s"$key is read when the application starts; in a session use SELECT * FROM flambeau_register('${key.stripPrefix(FlambeauConf.UdfPrefix)}', '$value')")
      case _ => None
    }

  private def refuse(problems: Seq[String], advice: String): Nothing =
    throw new FlambeauAnalysisException("FLAMBEAU_BAD_SETTING", s"${problems.mkString("; ")}. $advice")
}

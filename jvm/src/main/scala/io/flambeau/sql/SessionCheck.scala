package io.flambeau.sql

import org.apache.spark.sql.SparkSession

import io.flambeau.FlambeauAnalysisException
import io.flambeau.spark.Classic

/**
 * Whether a session has Flambeau's extension. Functions are known to every session of the process once one session has them;
 * without the extension nothing plans them. So this is checked wherever a function is used. A Connect client cannot check it.
 */
private[flambeau] object SessionCheck {

  /** The name in Spark's setting; the class itself depends on this package. */
  private val Extension = "io.flambeau.FlambeauExtensions"

  /** @throws FlambeauAnalysisException FLAMBEAU_SETUP if it lacks the extension */
  def require(session: SparkSession, who: String): Unit = session match {
    case own: Classic.Session if !own.sessionState.planner.strategies.contains(EvalModelStrategy) =>
      throw new FlambeauAnalysisException(
        "FLAMBEAU_SETUP",
        s"$who: this session lacks Flambeau's extension: set spark.sql.extensions=$Extension when the " +
          "application is started, or before its first session (in Python, call flambeau.configure)")
    case _ => ()
  }

  /** As [[require]], for the active session of this thread, if there is one. */
  def requireActive(who: String): Unit =
    SparkSession.getActiveSession.orElse(SparkSession.getDefaultSession).foreach(require(_, who))
}

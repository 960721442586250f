package io.flambeau

import scala.jdk.CollectionConverters._

import org.apache.spark.sql.AnalysisException
import org.apache.spark.sql.catalyst.trees.Origin
import org.apache.spark.sql.execution.QueryExecutionException

import io.flambeau.spark.{ErrorConditions, LineAnalysisException, LineThrowable}

/*
 * The two exceptions that users meet.
 *
 * Conditions are declared in resources/flambeau/error-conditions.json (see ErrorConditions.java) and explained in docs/errors.md.
 */

/**
 * An error in a query, found before anything runs.
 *
 * @param condition
 *   one of the conditions above
 * @param text
 *   cause and advice; the message is `[condition] text`
 */
final class FlambeauAnalysisException(condition: String, text: String, cause: Option[Throwable] = None, origin: Origin = Origin())
    extends LineAnalysisException(
      s"[$condition] $text", condition, ErrorConditions.sqlState(condition), Map("message" -> text), cause,
      origin.line, origin.startPosition) {

  /**
   * Adds line and position if the call itself is wrong; with line and column of a `model.toml` they would be confusing. There is no
   * query context: PySpark logs every exception with a context by itself, with its stack trace.
   */
  override def withPosition(at: Origin): AnalysisException = if (!FlambeauException.OfTheCall(condition)) this
  else {
    val placed = new FlambeauAnalysisException(condition, text, cause, at)
    placed.setStackTrace(getStackTrace)
    placed
  }
}

/**
 * A failure while a query runs. It ends its task, never the executor. PySpark turns this class into a PySparkException.
 *
 * @param parameters
 *   always `model` and `cause`; `row` and `partition` if a row is bad; `message` is added
 */
final class FlambeauException(condition: String, text: String, parameters: Map[String, String], cause: Throwable)
    extends QueryExecutionException(s"[$condition] $text", cause)
    with LineThrowable {
  override def getCondition: String = condition
  override def getSqlState: String = ErrorConditions.sqlState(condition)
  override def getMessageParameters: java.util.Map[String, String] = (parameters + ("message" -> text)).asJava
}

object FlambeauException {

  /** Messages of these conditions show the position in the query's text. */
  private[flambeau] val OfTheCall = Set("FLAMBEAU_BAD_ARGUMENT", "FLAMBEAU_UNKNOWN_MODEL")

  /** Only for kinds that are bugs in Flambeau. */
  private[flambeau] val Bug = "This is a bug in Flambeau. The executor keeps running. Please report it with the executor's log."

  /** This process cannot use Flambeau with any model: a problem with libraries, folders or the platform. */
  private[flambeau] def setup(text: String, cause: Throwable): FlambeauException =
    new FlambeauException("FLAMBEAU_SETUP", text, Map("cause" -> text), cause)

  /** A cause in words: some exceptions of Java have a bare host or path as their message. */
  private[flambeau] def describe(cause: Throwable): String =
    Iterator.iterate(cause)(_.getCause).takeWhile(_ != null).collectFirst { case host: java.net.UnknownHostException => host } match {
      case Some(host) => s"there is no host ${host.getMessage}, or this machine cannot resolve its name"
      case None => describeOne(cause)
    }

  private def describeOne(cause: Throwable): String = cause match {
    case _: java.nio.file.AccessDeniedException => s"no permission for ${cause.getMessage}"
    case _: java.nio.file.NoSuchFileException | _: java.io.FileNotFoundException => s"not found: ${cause.getMessage}"
    case _: java.nio.file.FileAlreadyExistsException => s"${cause.getMessage} already exists, and is not a folder"
    case _ if cause.getMessage == null && cause.getCause != null => describe(cause.getCause)
    case _ if cause.getMessage == null || !cause.getMessage.contains(" ") => s"${cause.getClass.getSimpleName} ${Option(cause.getMessage).mkString}".trim
    case _ => cause.getMessage
  }
}

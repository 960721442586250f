package io.flambeau

import java.util.UUID

import org.apache.spark.sql.{DataFrame, SparkSession}
import org.apache.spark.sql.catalyst.analysis.FunctionRegistry
import org.apache.spark.sql.catalyst.expressions.Literal

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

  /**
   * The `k` nearest rows of `right` for each row of `left`, exactly: all pairs are compared. Lazy, as any DataFrame.
   *
   * @param left
   *   two columns: an id of any type, and a vector (an array of numbers, or an ML vector). Rows with NULL have no neighbors
   * @param right
   *   two columns: an id, a whole number or a string, and a vector
   * @param k
   *   neighbors of each row of `left`; fewer if `right` has fewer
   * @param metric
   *   `cosine`, `dot` or `l2`
   * @return
   *   `left_id`, `right_id`, `rank` (int, from 1), and `similarity` or, for `l2`, `distance` (double). Equal ones are ranked by
   *   `right_id`
   * @throws FlambeauAnalysisException
   *   FLAMBEAU_BAD_ARGUMENT for other columns or metrics, FLAMBEAU_SETUP for a session without the extension
   */
  def nearest(left: DataFrame, right: DataFrame, k: Int = 10, metric: String = "cosine"): DataFrame =
    overTables("nearest", left, right)(names => s"flambeau_nearest(TABLE(${names.head}), TABLE(${names(1)}), ${literal(k)}, ${literal(metric)})")

  /**
   * The near duplicates of each row among the rows with a smaller id: at most `k`, the nearest first.
   *
   * @param rows
   *   two columns: an id, a whole number or a string, and a vector (an array of numbers, or an ML vector). Rows with NULL have none
   * @param threshold
   *   the smallest similarity, or, for `l2`, the largest distance
   * @return
   *   as [[nearest]]; `right_id` is the smaller of the two. A row without near duplicates is not in it
   */
  def nearDuplicates(rows: DataFrame, threshold: Double, k: Int = 10, metric: String = "cosine"): DataFrame =
    overTables("nearDuplicates", rows)(names => s"flambeau_near_duplicates(TABLE(${names.head}), ${literal(threshold)}, ${literal(k)}, ${literal(metric)})")

  /** A query over DataFrames, under names that exist until it is analyzed. */
  private def overTables(who: String, frames: DataFrame*)(call: Seq[String] => String): DataFrame = frames.head.sparkSession match {
    case session: Classic.Session =>
      SessionCheck.require(session, who)
      val names = frames.map(_ => s"flambeau_${UUID.randomUUID().toString.replace("-", "")}")
      try {
        frames.zip(names).foreach { case (frame, name) => frame.createTempView(name) }
        session.sql(s"SELECT * FROM ${call(names)}")
      } finally names.foreach(session.catalog.dropTempView)
    case _ =>
      throw new UnsupportedOperationException(
        "this session is a Spark Connect client: call the table functions flambeau_nearest and flambeau_near_duplicates in SQL")
  }

  private def literal(value: Any): String = Literal(value).sql

  private def refuse(name: String, why: String): Nothing =
    throw new FlambeauAnalysisException("FLAMBEAU_BAD_ARGUMENT", s"'$name' cannot be the name of a function: $why")
}

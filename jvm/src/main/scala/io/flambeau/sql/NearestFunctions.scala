package io.flambeau.sql

import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.FunctionIdentifier
import org.apache.spark.sql.catalyst.expressions._
import org.apache.spark.sql.catalyst.plans.logical.{Filter, LogicalPlan, Project, Repartition}
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types._

import io.flambeau.bridge.spec.{NearestMetric, NearestSpec}
import io.flambeau.spark.SparkAccess

/**
 * The table functions `flambeau_nearest(left, right[, k, metric])` and `flambeau_near_duplicates(table, threshold[, k, metric])`: from
 * arguments to a plan. Runs on the driver.
 *
 * The plan, from below: both sides without NULLs, shuffled into partitions of equal numbers of rows; the candidates
 * ([[NearestNeighbors]]); the best of them for each left row, with Spark's own window function.
 */
private[flambeau] object NearestFunctions {

  /** A table function as it is registered. */
  final case class Definition(name: String, info: ExpressionInfo, build: Seq[Expression] => LogicalPlan) {
    def identifier: FunctionIdentifier = FunctionIdentifier(name)
  }

  private val Nearest = "flambeau_nearest"
  private val NearDuplicates = "flambeau_near_duplicates"
  private val DefaultK = 10

  val all: Seq[Definition] = Seq(
    Definition(Nearest,
      info(Nearest,
        "_FUNC_(left, right[, k, metric]) - The k nearest rows of right for each row of left, exactly: left_id, right_id, rank (from 1), and similarity " +
          "(for l2: distance). Equal ones are ranked by right_id. Rows with NULL have no neighbors.",
        "      * left, right - tables of two columns: an id (of right: a whole number or a string), and a vector (an array of numbers, or an ML vector)\n" +
          "      * k - number of neighbors, a literal; default 10\n",
        "SELECT * FROM _FUNC_(TABLE(SELECT id, features FROM questions), TABLE(SELECT id, features FROM photos), k => 3);"),
      nearest),
    Definition(NearDuplicates,
      info(NearDuplicates,
        "_FUNC_(rows, threshold[, k, metric]) - For each row its near duplicates among the rows with a smaller id, at most k, the nearest first: left_id, " +
          "right_id (the smaller one), rank (from 1), and similarity (for l2: distance). A row without one is not in the result.",
        "      * rows - a table of two columns: an id (a whole number or a string), and a vector (an array of numbers, or an ML vector)\n" +
          "      * threshold - the smallest similarity (for l2: the largest distance) of a near duplicate, a literal\n" +
          "      * k - number of near duplicates of each row, a literal; default 10\n",
        "SELECT DISTINCT left_id FROM _FUNC_(TABLE(SELECT id, features FROM photos), threshold => 0.98);"),
      nearDuplicates))

  private def info(name: String, usage: String, arguments: String, example: String): ExpressionInfo =
    new ExpressionInfo(
      classOf[NearestNeighbors].getName, null, name, usage,
      s"\n    Arguments:\n$arguments      * metric - 'cosine' (default), 'dot' or 'l2'\n  ", s"\n    Examples:\n      > $example\n  ", "", "", "", "",
      "scala_udf")

  private def nearest(arguments: Seq[Expression]): LogicalPlan = {
    val bound = Arguments.bind(Nearest, arguments, Seq("left", "right"), Seq("k", "metric"))
    plan(Nearest, Side(Nearest, "left", bound("left")), Side(Nearest, "right", bound("right")), spec(Nearest, bound))
  }

  private def nearDuplicates(arguments: Seq[Expression]): LogicalPlan = {
    val bound = Arguments.bind(NearDuplicates, arguments, Seq("rows", "threshold"), Seq("k", "metric"))
    val threshold = Constants.number(NearDuplicates, "threshold", bound("threshold"))
    val rows = Side(NearDuplicates, "rows", bound("rows"))
    plan(NearDuplicates, rows, rows, spec(NearDuplicates, bound).copy(threshold = Some(threshold), smallerIds = true))
  }

  private def spec(function: String, bound: Map[String, Expression]): NearestSpec = {
    val k = bound.get("k").map(Constants.positiveInt(function, "k", _)).getOrElse(DefaultK)
    val metric = bound.get("metric").map(Constants.text(function, "metric", _)).getOrElse(NearestMetric.Cosine.name)
    val known = NearestMetric.find(metric.toLowerCase(java.util.Locale.ROOT)).getOrElse {
      Arguments.fail(function, s"metric must be one of ${NearestMetric.names.mkString(", ")}, not '$metric'")
    }
    NearestSpec(known, k, threshold = None, smallerIds = false)
  }

  private def plan(function: String, left: Side, right: Side, spec: NearestSpec): LogicalPlan = {
    // If ids are compared with each other, both are of the type that native code compares.
    val asked = left.named("left_id", if (spec.smallerIds) left.comparableId else left.id.dataType)
    // A row's own number: ids need not be unique.
    val queries = spread(Project(Alias(MonotonicallyIncreasingID(), "number")() +: asked.output, asked))
    val rows = spread(right.named("right_id", right.comparableId))
    val found = Seq(AttributeReference("right_id", right.comparableId, nullable = false)(), AttributeReference("score", DoubleType, nullable = false)())
    best(NearestNeighbors(function, spec, queries.output, rows.output, found, queries, rows), spec, left, right)
  }

  /** The best `k` candidates of each left row, ranked. */
  private def best(candidates: NearestNeighbors, spec: NearestSpec, left: Side, right: Side): LogicalPlan = {
    val (number, leftId) = (candidates.query.head, candidates.query(1))
    val (rightId, score) = (candidates.found.head, candidates.found(1))
    val isDistance = spec.metric == NearestMetric.L2
    val order = Seq(SortOrder(score, if (isDistance) Ascending else Descending), SortOrder(rightId, Ascending))
    val rank = Alias(WindowExpression(RowNumber(), WindowSpecDefinition(Seq(number), order, UnspecifiedFrame)), "rank")()
    val ranked = Filter(LessThanOrEqual(rank.toAttribute, Literal(spec.k)), Project(Seq(leftId, rightId, score, rank), candidates))
    Project(
      Seq(
        Alias(Cast(leftId, left.id.dataType), "left_id")(), Alias(Cast(rightId, right.id.dataType), "right_id")(), Alias(rank.toAttribute, "rank")(),
        Alias(score, if (isDistance) "distance" else "similarity")()),
      ranked)
  }

  /**
   * Into partitions of equal numbers of rows, so that none is long whatever the table's own are. Two a core: the last ones then do not
   * wait long for each other.
   */
  private def spread(rows: LogicalPlan): LogicalPlan = {
    val context = SparkSession.active.sparkContext
    val partitions = if (SparkAccess.isDynamicAllocationEnabled(context)) SQLConf.get.numShufflePartitions else 2 * context.defaultParallelism
    Repartition(partitions, shuffle = true, rows)
  }
}

/** One of the tables: its id and its vector as an array of floats. */
private final case class Side(function: String, parameter: String, table: LogicalPlan) {
  val id: Attribute = table.output.head

  private val vector: Expression =
    Cast(VectorFunctions.vector(function, s"the second column of $parameter", table.output(1)), ArrayType(FloatType))

  /** The type of ids that native code compares. */
  def comparableId: DataType = id.dataType match {
    case ByteType | ShortType | IntegerType | LongType => LongType
    case text: StringType => text
    case other => Arguments.fail(function, s"the first column of $parameter is the id: a whole number or a string, not ${other.sql}; cast it")
  }

  /** Id, under this name and type, and vector; without rows in which one is NULL. */
  def named(name: String, idType: DataType): LogicalPlan = {
    val columns = Seq(Alias(Cast(id, idType), name)(), Alias(vector, "vector")())
    Project(columns, Filter(And(IsNotNull(id), IsNotNull(table.output(1))), table))
  }
}

private object Side {
  def apply(function: String, parameter: String, argument: Expression): Side = Arguments.unnamed(argument) match {
    case table: FunctionTableSubqueryArgumentExpression =>
      if (table.plan.output.length != 2) {
        val names = table.plan.output.map(_.name).mkString(", ")
        Arguments.fail(function, s"$parameter must have two columns, an id and a vector, but has: $names")
      }
      Side(function, parameter, table.plan)
    case other => Arguments.fail(function, s"$parameter must be a table, like TABLE(photos) or TABLE(SELECT id, features FROM photos), not ${other.sql}")
  }
}

package io.flambeau.sql

import org.apache.spark.sql.{DataFrame, Row}
import org.apache.spark.sql.catalyst.plans.logical.{Filter, LocalLimit, LogicalPlan, Repartition}
import org.apache.spark.sql.execution.{ExtendedMode, FileSourceScanExec, FormattedMode, SparkPlan}
import org.apache.spark.sql.execution.adaptive.AdaptiveSparkPlanHelper
import org.apache.spark.sql.execution.datasources.v2.BatchScanExec
import org.apache.spark.sql.functions.col
import org.apache.spark.sql.types._

import io.flambeau.FlambeauSuite
import io.flambeau.spark.Classic

/** Query plans: calls share one evaluation, above operators that remove rows, with only the columns that are needed. */
class PlanSuite extends FlambeauSuite with AdaptiveSparkPlanHelper {

  override protected def beforeAll(): Unit = {
    super.beforeAll()
    QueryTable.createTables(spark)
  }

  private def execution(df: DataFrame) = df.asInstanceOf[Classic.Rows[Row]].queryExecution

  private def optimized(sql: String): LogicalPlan = execution(spark.sql(sql)).optimizedPlan

  private def evaluations(plan: LogicalPlan): Seq[EvalModel] = plan.collect { case node: EvalModel => node }

  private def physical(df: DataFrame): SparkPlan = { df.collect(); stripAQEPlan(execution(df).executedPlan) }

  private val F = "featurize(v, 'tiny')"

  test("featurize, classify, infer and their try_ variants of one input share one evaluation") {
    val nodes = evaluations(optimized(
        s"SELECT $F, classify(v, 'tiny'), infer('tiny', v), try_featurize(v, 'tiny') FROM t WHERE $F[0] > 1"))
    assert(nodes.length == 1)
    assert(nodes.head.requests.map(_.function).toSet == Set("featurize", "classify", "infer", "try_featurize"))
  }

  test("another model or another input is another evaluation") {
    assert(evaluations(optimized(s"SELECT $F, featurize(v, 'raises'), featurize(reverse(v), 'tiny') FROM t")).length == 3)
  }

  test("a name and a path of the same package are the same model") {
    val path = FlambeauSuite.packages.resolve("tiny")
    assert(evaluations(optimized(s"SELECT $F, featurize(v, '$path') FROM t")).length == 1)
  }

  test("a filter without the result is below, one on the result above") {
    val plan = optimized(s"SELECT $F FROM t WHERE $F[0] > 100 AND id <= 10 AND pad IS NOT NULL")
    val node = evaluations(plan).head
    assert(node.child.exists(_.isInstanceOf[Filter]))
    assert(!node.child.expressions.exists(_.references.exists(a => node.results.exists(_.exprId == a.exprId))))
    assert(plan.collect { case f: Filter if f.child.isInstanceOf[EvalModel] => f }.length == 1)
  }

  test("a limit is below the evaluation too") {
    assert(evaluations(optimized(s"SELECT $F FROM t LIMIT 5")).head.child.exists(_.isInstanceOf[LocalLimit]))
  }

  test("inputs that nobody needs above do not wait for the results") {
    val node = evaluations(optimized(s"SELECT id, $F FROM t WHERE $F[0] > 10")).head
    assert(node.passThrough.map(_.name) == Seq("id"))
    assert(evaluations(optimized(s"SELECT id, v, $F FROM t")).head.passThrough.map(_.name).sorted == Seq("id", "v"))
  }

  test("columns that nobody asks for are not read, V1") {
    val df = spark.sql(s"SELECT id, $F FROM t")
    val scans = collect(physical(df)) { case scan: FileSourceScanExec => scan.requiredSchema.fieldNames.toSeq.sorted }
    assert(scans == Seq(Seq("id", "v")))
  }

  test("columns that nobody asks for are not read, V2") {
    withConf("spark.sql.sources.useV1SourceList" -> "") {
      val df = spark.read.parquet(FlambeauSuite.warehouse.resolve("t").toString).selectExpr(F)
      val scans = collect(physical(df)) { case scan: BatchScanExec => scan.scan.readSchema().fieldNames.toSeq }
      assert(scans == Seq(Seq("v")))
    }
  }

  test("an unused result is not in the plan") {
    assert(evaluations(optimized(s"SELECT id FROM (SELECT id, $F f FROM t) WHERE id > 3")).isEmpty)
    assert(evaluations(optimized(s"SELECT f FROM (SELECT $F f, classify(v, 'tiny') c FROM t)")).head.requests.map(_.function) == Seq("featurize"))
  }

  test("a range shuffle reads results from a shuffle, not from the model again") {
    assert(optimized(s"SELECT $F f FROM t ORDER BY f[0]").exists(_.isInstanceOf[Repartition]))
    assert(!optimized(s"SELECT $F f FROM t ORDER BY f[0] LIMIT 3").exists(_.isInstanceOf[Repartition]))
    assert(!optimized("SELECT id FROM t ORDER BY id").exists(_.isInstanceOf[Repartition]))
    val (_, rows) = countingRows(spark.sql(s"SELECT id, $F f FROM t").repartitionByRange(3, col("id")).collect())
    assert(rows == 100)
  }

  test("types and names of the results") {
    val schema = spark.sql(s"SELECT $F, classify(v, 'tiny', 2), infer('tiny', v), try_featurize(v, 'tiny') FROM t").schema
    assert(schema.fieldNames.toSeq == Seq("featurize(v, 'tiny')", "classify(v, 'tiny', 2)", "infer('tiny', v)", "try_featurize(v, 'tiny')"))
    val floats = ArrayType(FloatType, containsNull = false)
    val label = new StructType().add("label", StringType, false).add("index", IntegerType, false).add("probability", FloatType, false)
    assert(schema.map(_.dataType) == Seq(floats, ArrayType(label, containsNull = false),
      new StructType().add("features", floats, false).add("logits", floats, false), floats))
    assert(spark.sql(s"SELECT try_featurize(array(1f, 2f, 3f, 4f), 'tiny') a, featurize(array(1f, 2f, 3f, 4f), 'tiny') b").schema.map(_.nullable) == Seq(true,
      false))
  }

  test("EXPLAIN tells what the operator does") {
    val formatted = execution(spark.sql(s"SELECT id, $F FROM t")).explainString(FormattedMode)
    assert(formatted.contains("EvalModel tiny"))
    Seq("Model: tiny", "Functions [1]: [featurize]", "Passed through [1]: [id#").foreach(part => assert(formatted.contains(part), formatted))
    assert(execution(spark.sql(s"SELECT $F FROM t")).explainString(ExtendedMode).contains("EvalModel tiny"))
  }

  test("a self-join of one DataFrame, and of its cached copy") {
    val df = spark.sql(s"SELECT id, $F f FROM t WHERE id <= 10")
    assert(df.as("a").join(df.as("b"), "id").select("a.f", "b.f").collect().forall(r => r.get(0) == r.get(1)))
    val cached = df.cache()
    try {
      val (_, first) = countingRows(cached.count())
      assert(first == 10)
      val (joined, second) = countingRows(cached.as("a").join(cached.as("b"), "id").count())
      assert(joined == 10 && second == 0)
    } finally cached.unpersist(blocking = true)
  }

  test("equal plans are recognized as equal") {
    val (a, b) = (execution(spark.sql(s"SELECT id, $F f FROM t")), execution(spark.sql(s"SELECT id, $F f FROM t")))
    assert(a.optimizedPlan.sameResult(b.optimizedPlan))
    assert(a.sparkPlan.sameResult(b.sparkPlan))
    assert(!a.optimizedPlan.sameResult(optimized("SELECT id, featurize(v, 'raises') f FROM t")))
  }

  test("the rule changes nothing the second time") {
    QueryTable.queries.foreach { query =>
      val plan = ExtractModelCalls(optimized(query.sql))
      assert(!ExtractModelCalls.holdsCalls(plan), query.name)
      assert(ExtractModelCalls(plan).fastEquals(plan), query.name)
    }
  }
}

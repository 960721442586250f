package io.flambeau.sql

import org.apache.spark.sql.Row
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{AttributeReference, UnsafeProjection}
import org.apache.spark.sql.catalyst.util.GenericArrayData
import org.apache.spark.sql.execution.adaptive.AdaptiveSparkPlanHelper
import org.apache.spark.sql.types._

import io.flambeau.FlambeauSuite
import io.flambeau.bridge.NativeStats
import io.flambeau.bridge.spec.InferenceSettings
import io.flambeau.conf.FlambeauConf
import io.flambeau.models.ModelStore
import io.flambeau.spark.Classic

/** How the operator runs: batches, order, other columns, metrics, memory, cancellation. */
class EvaluationSuite extends FlambeauSuite with AdaptiveSparkPlanHelper {

  override protected def beforeAll(): Unit = {
    super.beforeAll()
    QueryTable.createTables(spark)
  }

  private val onePartition = "SELECT id, featurize(v, 'tiny') f FROM u_t"

  private def forwards(body: => Any): Long = {
    val before = NativeStats.forwards
    body
    NativeStats.forwards - before
  }

  private def rowsInOrder(batch: (String, String)*): (Seq[Int], Long) = withConf(batch: _*) {
    spark.range(0, 100, 1, 1).selectExpr("cast(id as int) id", "array(id, id, id, id) v").createOrReplaceTempView("u_t")
    var ids = Seq.empty[Int]
    val count = forwards {
      val rows = spark.sql(onePartition).collect()
      assert(rows.forall(row => row.getSeq[Float](1) == Seq.fill(3)(row.getInt(0) * 2f)))
      ids = rows.map(_.getInt(0)).toSeq
    }
    (ids, count)
  }

  test("batches end by rows, and rows keep their order") {
    assert(rowsInOrder(FlambeauConf.BatchRows.key -> "8") == ((0 until 100, 13L)))
    assert(rowsInOrder(FlambeauConf.BatchRows.key -> "1") == ((0 until 100, 100L)))
    assert(rowsInOrder(FlambeauConf.BatchRows.key -> "100") == ((0 until 100, 1L)))
  }

  test("batches end by bytes; a row larger than that is a batch of its own") {
    // The row of one array of four longs: 8 null bits, 8 offset, 16 array header, 32 values.
    assert(rowsInOrder(FlambeauConf.BatchBytes.key -> "640") == ((0 until 100, 10L)))
    assert(rowsInOrder(FlambeauConf.BatchBytes.key -> "700") == ((0 until 100, 10L)))
    assert(rowsInOrder(FlambeauConf.BatchBytes.key -> "1") == ((0 until 100, 100L)))
  }

  test("columns of every type pass through") {
    val types = "id, id % 2 = 0 b, cast(id as tinyint) i8, cast(id as smallint) i16, cast(id as int) i32, cast(id as float) f, " +
      "cast(id as double) d, cast(id as decimal(10, 2)) d10, cast(id as decimal(38, 5)) d38, cast(id as string) s, cast(cast(id as string) as binary) bin, " +
      "date_add(date'2020-01-01', cast(id as int)) day, timestamp_seconds(id) ts, cast(timestamp_seconds(id) as timestamp_ntz) ntz, " +
      "make_interval(0, cast(id as int)) ci, make_dt_interval(cast(id as int)) dt, make_ym_interval(cast(id as int)) ym, " +
      "array(id, null) a, map(id, cast(id as string)) m, named_struct('x', id, 'y', array(id)) st, if(id = 3, null, id) n, parse_json('[1]') j"
    val source = spark.range(20).selectExpr(types.split(", (?=[^()]*(\\([^()]*(\\([^()]*\\)[^()]*)*\\)[^()]*)*$)").toSeq: _*)
    val both = source.selectExpr("*", "featurize(array(id, id, id, id), 'tiny') ff")
    assert(both.collect().forall(row => row.getSeq[Float](row.length - 1).head == row.getLong(0) * 2f))
    assert(both.collect().map(row => text(Row.fromSeq(row.toSeq.dropRight(1)))).sorted.toSeq == sorted(source))
  }

  test("inputs that are not deterministic are drawn once a row") {
    val rows = spark.range(0, 50, 1, 2).selectExpr("rand(7) r").selectExpr("r", "featurize(array(r, r, r, r), 'tiny')[0] f").where("r < 0.5").collect()
    assert(rows.nonEmpty && rows.forall(row => row.getFloat(1) == (row.getDouble(0) * 2).toFloat))
  }

  test("partitions without rows load nothing") {
    val before = NativeStats.modelLoads
    val (rows, forwarded) = countingRows(spark.sql("SELECT featurize(v, 'tiny') FROM t WHERE id < 0").collect())
    assert(rows.isEmpty && forwarded == 0 && NativeStats.modelLoads == before)
  }

  test("a program compiled ahead of time gives TorchScript's results, and its passes are counted") {
    def results(engine: String): Seq[Seq[Float]] = withConf(FlambeauConf.Engine.key -> engine) {
      val query = spark.range(0, 40, 1, 2).selectExpr("featurize(array(id, id + 1, id + 2, id + 3), 'compiled') f")
      val rows = query.collect().map(_.getSeq[Float](0)).toSeq
      val node = collect(query.asInstanceOf[Classic.Rows[Row]].queryExecution.executedPlan) { case exec: EvalModelExec => exec }.head
      assert(node.metrics(s"passes.$engine").value > 0)
      rows
    }
    for ((compiled, script) <- results("aot").zip(results("torchscript")); (a, b) <- compiled.zip(script))
      assert(math.abs(a - b) < 1e-3f)
  }

  test("the operator's metrics") {
    val df = spark.sql("SELECT id, try_featurize(v, 'tiny') FROM bad")
    df.collect()
    val node = collect(df.asInstanceOf[Classic.Rows[Row]].queryExecution.executedPlan) { case exec: EvalModelExec => exec }.head
    val metric = node.metrics.map { case (key, metric) => key -> metric.value }
    assert(metric("numOutputRows") == 20 && metric("batches") == 1 && metric("badRows") == 4)
    assert(metric("bytesIn") >= 16 * 4 * 4 && metric("bytesOut") >= 16 * 3 * 4)
    Seq("loadTime", "prepareTime", "forwardTime", "convertTime").foreach(time => assert(metric(time) >= 0, time))
    assert(metric("forwardTime") > 0 && metric("peakNativeBytes") >= 0)
  }

  test("a canceled query stops between batches and leaves nothing") {
    val group = "canceled"
    val sc = spark.sparkContext
    val runner = new Thread(() => {
      sc.setJobGroup(group, group, interruptOnCancel = false)
      try spark.range(0, 1000000000L, 1, 2).selectExpr("featurize(array_repeat(id, 16), 'noop') f").write.format("noop").mode("overwrite").save()
      catch { case _: Exception => () }
    })
    val before = NativeStats.forwards
    runner.start()
    eventually(assert(NativeStats.forwards > before + 3))
    sc.cancelJobGroup(group)
    runner.join(patienceConfig.timeout.millisPart)
    assert(!runner.isAlive, "the query went on")
    sc.clearJobGroup()
  }

  test("rows are few where Spark grants little memory, and refused where it grants none") {
    // 64 rows in one batch where memory is free.
    assert(forwardsWithin(1L << 30) == 1)
    assert(forwardsWithin(3L << 10) > 1)
    assertFails("FLAMBEAU_OUT_OF_MEMORY", "spark.executor.memory")(forwardsWithin(8))
  }

  /** Forward passes for 64 rows in a task that has `memoryBytes`. */
  private def forwardsWithin(memoryBytes: Long): Long = {
    val attribute = AttributeReference("v", ArrayType(FloatType))()
    val result = AttributeReference("f", ArrayType(FloatType, containsNull = false))()
    val plan = EvaluationPlan(
      Seq(attribute), ModelStore.resolve("tiny", spark.asInstanceOf[Classic.Session].sessionState.conf),
      Seq(ModelRequest(ModelTask.Featurize, nullOnError = false)), Nil, Seq(result), Seq(result), Seq(attribute),
      BatchLimits(64, 1 << 20), InferenceSettings.of(spark.asInstanceOf[Classic.Session].sessionState.conf), EvalModelMetrics.create(spark.sparkContext))
    val toUnsafe = UnsafeProjection.create(StructType(Seq(StructField("v", ArrayType(FloatType)))))
    val rows = (0 until 64).iterator.map(i => toUnsafe(InternalRow(new GenericArrayData(Array.fill(4)(i.toFloat)))))
    forwards(assert(SmallTask.run(memoryBytes, () => new RowsFromRows(rows, plan, 0).size) == 64))
  }
}

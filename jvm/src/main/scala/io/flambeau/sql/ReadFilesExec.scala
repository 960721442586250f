package io.flambeau.sql

import java.util.ArrayDeque

import scala.util.control.NonFatal

import org.apache.spark.{PartitionEvaluator, PartitionEvaluatorFactory, TaskContext}
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.catalyst.expressions.{Attribute, AttributeSet, Expression, GenericInternalRow, JoinedRow, Predicate, SortOrder}
import org.apache.spark.sql.catalyst.expressions.{UnsafeProjection, UnsafeRow}
import org.apache.spark.sql.catalyst.expressions.Literal.TrueLiteral
import org.apache.spark.sql.catalyst.plans.logical.LogicalPlan
import org.apache.spark.sql.catalyst.plans.physical.Partitioning
import org.apache.spark.sql.execution.{SparkPlan, SparkStrategy, UnaryExecNode}
import org.apache.spark.sql.execution.metric.{SQLMetric, SQLMetrics}

import io.flambeau.read.{FileReader, ReadAhead, ReadSettings}

/** Plans [[ReadFiles]]; and makes what [[ExtractReads]] left in expressions ready to be evaluated there, once no more rules run. */
private[flambeau] object ReadBytesStrategy extends SparkStrategy {

  override def apply(plan: LogicalPlan): Seq[SparkPlan] = plan match {
    // The calls are extracted first, and the whole plan comes back.
    case _ if ExtractModelCalls.holdsCalls(plan) => Nil
    case _ if ReadBytes.in(plan) => planLater(evaluable(ExtractReads(plan))) :: Nil
    case ReadFiles(path, guard, nullOnError, result, child) => ReadFilesExec(path, guard, nullOnError, result, planLater(child)) :: Nil
    case _ => Nil
  }

  private def evaluable(plan: LogicalPlan): LogicalPlan = {
    lazy val settings = ReadSettings.of(plan.conf)
    plan.transformAllExpressions { case ReadBytes(child, nullOnError) => ReadBytesNow(child, nullOnError)(settings) }
  }
}

/** Runs [[ReadFiles]]: reads ahead of the row that is wanted, and gives the rows in their order. Driver side only. */
private[sql] final case class ReadFilesExec(path: Expression, guard: Expression, nullOnError: Boolean, result: Attribute, child: SparkPlan)
    extends UnaryExecNode {

  override def output: Seq[Attribute] = child.output :+ result

  override def producedAttributes: AttributeSet = AttributeSet(result)

  override def outputPartitioning: Partitioning = child.outputPartitioning

  override def outputOrdering: Seq[SortOrder] = child.outputOrdering

  override lazy val metrics: Map[String, SQLMetric] = Map(
    "numOutputRows" -> SQLMetrics.createMetric(sparkContext, "rows"),
    "files" -> SQLMetrics.createMetric(sparkContext, "files read"),
    "badFiles" -> SQLMetrics.createMetric(sparkContext, "files that cannot be read"),
    "bytes" -> SQLMetrics.createSizeMetric(sparkContext, "bytes read"),
    "waitTime" -> SQLMetrics.createNanoTimingMetric(sparkContext, "time to wait for files"))

  override protected def doExecute(): RDD[InternalRow] =
    child.execute().mapPartitionsWithEvaluator(
      new ReadEvaluatorFactory(ReadPlan(path, Some(guard).filter(_ != TrueLiteral), nullOnError, result, child.output, ReadSettings.of(conf), metrics)))

  override protected def withNewChildInternal(newChild: SparkPlan): ReadFilesExec = copy(child = newChild)
}

/** What a task needs: plain values, serialized to executors. */
private[sql] final case class ReadPlan(
    path: Expression,
    guard: Option[Expression],
    nullOnError: Boolean,
    result: Attribute,
    childOutput: Seq[Attribute],
    settings: ReadSettings,
    metrics: Map[String, SQLMetric])

private[sql] final class ReadEvaluatorFactory(plan: ReadPlan) extends PartitionEvaluatorFactory[InternalRow, InternalRow] {
  override def createEvaluator(): PartitionEvaluator[InternalRow, InternalRow] = new PartitionEvaluator[InternalRow, InternalRow] {
    override def eval(partition: Int, inputs: Iterator[InternalRow]*): Iterator[InternalRow] =
      if (inputs.head.hasNext) new RowsWithContent(inputs.head, plan, partition) else Iterator.empty
  }
}

/** The rows of a partition with their files' content. The row that is given is overwritten by the next one, as in all of Spark. */
private[sql] final class RowsWithContent(rows: Iterator[InternalRow], plan: ReadPlan, partition: Int) extends Iterator[InternalRow] {
  private val reads = new ReadAhead(TaskContext.get(), plan.settings)
  private val waiting = new ArrayDeque[(UnsafeRow, ReadAhead.Read)]
  private val toUnsafe = UnsafeProjection.create(plan.childOutput, plan.childOutput)
  private val toPath = UnsafeProjection.create(Seq(plan.path), plan.childOutput)
  private val toOutput = UnsafeProjection.create(plan.childOutput :+ plan.result, plan.childOutput :+ plan.result)
  private val content = new GenericInternalRow(1)
  private val joined = new JoinedRow
  private val isWanted: InternalRow => Boolean = plan.guard match {
    case None => _ => true
    case Some(guard) =>
      val predicate = Predicate.create(guard, plan.childOutput)
      predicate.initialize(partition)
      predicate.eval
  }
  toPath.initialize(partition)

  override def hasNext: Boolean = !waiting.isEmpty || rows.hasNext || {
    reads.close()
    false
  }

  override def next(): InternalRow = {
    while (!reads.isFull && rows.hasNext) start(rows.next())
    val (row, read) = waiting.remove()
    val begin = System.nanoTime()
    val taken = reads.take(read)
    plan.metrics("waitTime").add(System.nanoTime() - begin)
    content.update(0, contentOf(read.path, taken))
    plan.metrics("numOutputRows").add(1)
    toOutput(joined(row, content))
  }

  private def start(row: InternalRow): Unit = {
    val kept = row match {
      case unsafe: UnsafeRow => unsafe.copy()
      case other => toUnsafe(other).copy()
    }
    val path = if (isWanted(kept)) Some(toPath(kept)).filterNot(_.isNullAt(0)).map(_.getUTF8String(0).toString) else None
    waiting.add((kept, path.fold(reads.skip(kept.getSizeInBytes))(reads.start(_, kept.getSizeInBytes))))
  }

  private def contentOf(path: String, taken: Either[Throwable, Array[Byte]]): Array[Byte] = taken match {
    case Right(bytes) =>
      if (bytes != null) {
        plan.metrics("files").add(1)
        plan.metrics("bytes").add(bytes.length)
      }
      bytes
    case Left(cause) if NonFatal(cause) =>
      plan.metrics("badFiles").add(1)
      if (plan.nullOnError) null else throw FileReader.failure(ReadBytes.name(plan.nullOnError), path, cause)
    case Left(fatal) => throw fatal
  }
}

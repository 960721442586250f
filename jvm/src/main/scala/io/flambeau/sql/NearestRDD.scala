package io.flambeau.sql

import org.apache.spark.{NarrowDependency, Partition, TaskContext}
import org.apache.spark.rdd.RDD
import org.apache.spark.sql.catalyst.InternalRow

/**
 * Every row of one side compared with every row of the other, in a grid: each task has a group of partitions of either side. A task
 * reads its right rows from the shuffle once for each block of left rows that it holds, so none of the sides has to fit in memory.
 *
 * If there are many left rows, each task has some of them and all right rows: then nothing is left to choose from afterwards. If
 * there are few (the questions of a search), the right side is divided among the tasks.
 */
private[sql] final class NearestRDD(private var left: RDD[InternalRow], private var right: RDD[InternalRow], leftRows: Long, plan: NearestPlan)
    extends RDD[InternalRow](left.sparkContext, Nil) {

  private val leftGroups = math.max(1L, math.min(left.getNumPartitions.toLong, leftRows / NearestRDD.RowsWorthATask)).toInt
  private val rightGroups = math.max(1, math.min(right.getNumPartitions, math.max(left.getNumPartitions, right.getNumPartitions) / leftGroups))

  override protected def getPartitions: Array[Partition] =
    if (left.getNumPartitions == 0 || right.getNumPartitions == 0) Array.empty
    else Array.tabulate(leftGroups * rightGroups) { index =>
      new NearestPartition(index, leftOf(index).map(left.partitions(_)).toArray, rightOf(index).map(right.partitions(_)).toArray)
    }

  override def getDependencies: Seq[org.apache.spark.Dependency[_]] = Seq(
    new NarrowDependency[InternalRow](left) { override def getParents(index: Int): Seq[Int] = leftOf(index) },
    new NarrowDependency[InternalRow](right) { override def getParents(index: Int): Seq[Int] = rightOf(index) })

  private def leftOf(index: Int): Seq[Int] = NearestRDD.group(left.getNumPartitions, leftGroups, index / rightGroups)

  private def rightOf(index: Int): Seq[Int] = NearestRDD.group(right.getNumPartitions, rightGroups, index % rightGroups)

  override def compute(split: Partition, context: TaskContext): Iterator[InternalRow] = {
    val part = split.asInstanceOf[NearestPartition]
    // Tasks that start together begin with different partitions, so that they do not all read from one machine.
    val (before, after) = part.right.splitAt(part.index % math.max(1, part.right.length))
    val (queries, rows) = (left, right)
    new NearestTask(plan, context, part.left.iterator.flatMap(queries.iterator(_, context)),
      () => (after ++ before).iterator.flatMap(rows.iterator(_, context)))
  }

  override def clearDependencies(): Unit = {
    super.clearDependencies()
    left = null
    right = null
  }
}

private[sql] object NearestRDD {

  /** Below it, reading the right side takes longer than comparing with it. */
  private val RowsWorthATask = 1024L

  /** Group `index` of `groups`, of `partitions` of them. */
  private def group(partitions: Int, groups: Int, index: Int): Seq[Int] =
    (index.toLong * partitions / groups).toInt until ((index + 1L) * partitions / groups).toInt
}

private final class NearestPartition(override val index: Int, val left: Array[Partition], val right: Array[Partition]) extends Partition

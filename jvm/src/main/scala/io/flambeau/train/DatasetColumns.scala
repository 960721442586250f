package io.flambeau.train

import org.apache.spark.sql.{Column, DataFrame, Dataset}
import org.apache.spark.sql.catalyst.expressions.UserDefinedExpression
import org.apache.spark.sql.catalyst.plans.logical.{Filter, LocalRelation, Project}
import org.apache.spark.sql.execution.columnar.InMemoryRelation
import org.apache.spark.sql.execution.datasources.LogicalRelation
import org.apache.spark.sql.execution.datasources.v2.DataSourceV2ScanRelation
import org.apache.spark.sql.functions.{col, countDistinct, floor, hash, lit, max, monotonically_increasing_id, pmod, shiftright}
import org.apache.spark.sql.types.{ArrayType, DataType, StructField, StructType, UserDefinedType}

import io.flambeau.bridge.spec.{DenseColumn, ImageLimits}
import io.flambeau.models.ModelRef
import io.flambeau.spark.{Classic, Spread}

/**
 * An input of the trained program.
 *
 * @param dense
 *   the tensor of a row, for numbers; 0 in its shape: learned from the first rows
 */
private[flambeau] final case class InputColumn(name: String, value: Column, dense: Option[DenseColumn])

/**
 * The labels.
 *
 * @param value
 *   a double, or an array of doubles, nested by shape
 * @param shape
 *   of an array; 0 in it: learned from the first rows
 * @param range
 *   least and largest label, where the loss sets bounds
 */
private[flambeau] final case class LabelColumn(value: Column, shape: Option[Seq[Int]] = None, range: Option[(Double, Double)] = None)

/**
 * From a dataset to the rows that workers get. Driver only; nothing runs here.
 *
 * A row's `__id` is its partition and position in the dataset as it comes; its shard among the `batchRows` of a batch follows
 * from the id, and its worker from the shard. So the composition of batches depends on the dataset and the batch size, not on the
 * number of workers (see rust/train/src/sampler.rs).
 *
 * @param pairs
 *   the inputs of each row's partner; none without pairs
 */
private[flambeau] final case class DatasetColumns(
    inputs: Seq[InputColumn], label: LabelColumn, weight: Option[Column], validation: Option[Column], group: Option[Column],
    pairs: Seq[InputColumn] = Nil) {

  /**
   * The dataset's rows, spread over the workers. Features of featurizers are computed before that. If the rows are cheap to read
   * ([[DatasetColumns.isLight]]), a single worker reads them without a shuffle, which would take longer.
   */
  def frame(dataset: Dataset[_], batchRows: Int, workers: Int): DataFrame = {
    val shards = DatasetColumns.shards(batchRows)
    val identified = dataset.select(named :+ monotonically_increasing_id().as(DatasetColumns.Id): _*)
    val id = col(DatasetColumns.Id)
    val position = id.bitwiseAND(lit((1L << DatasetColumns.PositionBits) - 1))
    val partition = shiftright(id, DatasetColumns.PositionBits)
    val spread = if (group.isDefined) pmod(hash(col(DatasetColumns.Group)), lit(shards)) else pmod(position + hash(partition), lit(shards.toLong))
    val sharded = identified.withColumn(DatasetColumns.Shard, spread.cast("int"))
    if (workers == 1 && DatasetColumns.isLight(sharded)) sharded.coalesce(1)
    else Spread.byPartition(sharded, workers, pmod(col(DatasetColumns.Shard), lit(workers)).cast("int"))
  }

  /**
   * Of the rows that have all their values, and a label that can be a class: how many classes the largest label makes (0 without such
   * rows), and how many different labels there are. Reads the dataset once.
   */
  def classesAndLabels(dataset: Dataset[_]): (Int, Long) = {
    val value = col(DatasetColumns.Label)
    val labels = dataset.select(named: _*).na.drop().where(value >= 0 && value <= DatasetColumns.LargestClass && value === floor(value))
    val found = labels.agg(max(value), countDistinct(value)).head()
    (if (found.isNullAt(0)) 0 else found.getDouble(0).toInt + 1, found.getLong(1))
  }

  private def named: Seq[Column] = (inputs ++ pairs).map(i => i.value.as(i.name)) ++ Seq(label.value.as(DatasetColumns.Label)) ++
    weight.map(_.as(DatasetColumns.Weight)) ++ validation.map(_.as(DatasetColumns.Validation)) ++ group.map(_.as(DatasetColumns.Group))

  /** The statistics of these rows that the workers need. */
  def plan(frame: DataFrame, batchRows: Int, skipInvalid: Boolean, reader: Option[ModelRef], images: ImageLimits): DatasetPlan = DatasetPlan(
    StructType(frame.schema.map(f => StructField(f.name, DatasetColumns.storage(f.dataType), nullable = false))),
    inputs.map(_.name),
    pairs.map(_.name),
    (inputs ++ pairs).collect { case InputColumn(name, _, Some(dense)) => name -> dense }.toMap ++
      label.shape.map(shape => DatasetColumns.Label -> DenseColumn(shape, "f64")),
    DatasetColumns.shards(batchRows),
    label.range,
    skipInvalid,
    reader,
    images)
}

private[flambeau] object DatasetColumns {
  val Label = "__label"
  val Weight = "__weight"
  val Validation = "__validation"
  val Group = "__group"
  val Id = "__id"
  val Shard = "__shard"

  /** Maximum number of shards, for any batch size: every worker has some data for each. The native side has the same limit. */
  val MaxShards: Int = 1 << 16

  private def shards(batchRows: Int): Int = math.min(batchRows, MaxShards)

  /** The limit of class labels. */
  val LargestClass = 1e6

  /** For `monotonically_increasing_id`: the position in a partition is in the low bits, the partition above. */
  val PositionBits = 33

  /**
   * Whether one task reads these rows about as fast as several. The rows must be stored in files or in memory, with only Spark's
   * own columns and filters on top. They must not have more bytes than Spark gives one task of a file.
   */
  private def isLight(frame: DataFrame): Boolean = {
    val dataset = rows(frame)
    val plan = dataset.queryExecution.optimizedPlan
    val heavy = plan.exists {
      case _: LogicalRelation | _: DataSourceV2ScanRelation | _: InMemoryRelation | _: LocalRelation => false
      case node @ (_: Project | _: Filter) => node.expressions.exists(_.exists(_.isInstanceOf[UserDefinedExpression]))
      case _ => true
    }
    !heavy && plan.collectLeaves().map(_.stats.sizeInBytes).sum <= dataset.sparkSession.sessionState.conf.filesMaxPartitionBytes
  }

  /** The rows of a frame as they are stored. */
  def rows(frame: DataFrame): Classic.Rows[_] = frame match {
    case dataset: Classic.Rows[_] => dataset
    case other => throw new IllegalStateException(s"training needs a classic session, not ${other.getClass.getName}")
  }

  private def storage(dataType: DataType): DataType = dataType match {
    case udt: UserDefinedType[_] => udt.sqlType
    case ArrayType(element, _) => ArrayType(storage(element), containsNull = false)
    case other => other
  }
}

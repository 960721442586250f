package io.flambeau.train

import org.apache.spark.sql.{classic, Column, DataFrame, Dataset}
import org.apache.spark.sql.functions.{col, hash, lit, max, monotonically_increasing_id, pmod, shiftright}
import org.apache.spark.sql.types.{ArrayType, DataType, StructField, StructType, UserDefinedType}

/**
 * An input of what is trained.
 *
 * @param shape
 *   of a row, for numbers; 0 in it: learned from the first row
 */
private[flambeau] final case class FeedInput(name: String, value: Column, shape: Option[Seq[Int]])

/**
 * From a dataset to the rows that workers get. Driver only; nothing runs here.
 *
 * A row's `__id` is its partition and position in the dataset as it comes; its slot among the `batchRows` of a batch follows
 * from the id, and its worker from the slot. So the composition of batches depends on the dataset and the batch size, not on
 * how many workers there are (rust/engine/src/train tells how batches are dealt from slots).
 *
 * @param label
 *   a double, or an array of doubles
 */
private[flambeau] final case class FeedColumns(
    inputs: Seq[FeedInput], label: Column, weight: Option[Column], validation: Option[Column], group: Option[Column]) {

  /** The dataset's rows, spread over the workers. What models in front compute (features) is computed before they are. */
  def frame(dataset: Dataset[_], batchRows: Int, workers: Int): DataFrame = {
    val identified = dataset.select(named :+ monotonically_increasing_id().as(FeedColumns.Id): _*)
    val id = col(FeedColumns.Id)
    val position = id.bitwiseAND(lit((1L << FeedColumns.PositionBits) - 1))
    val partition = shiftright(id, FeedColumns.PositionBits)
    val spread = if (group.isDefined) pmod(hash(col(FeedColumns.Group)), lit(batchRows)) else pmod(position + hash(partition), lit(batchRows.toLong))
    val slotted = identified.withColumn(FeedColumns.Slot, spread.cast("int"))
    slotted.repartitionById(workers, pmod(col(FeedColumns.Slot), lit(workers)).cast("int"))
  }

  /** The largest label of the rows that have all their values; None without such rows. Reads the dataset. */
  def largestLabel(dataset: Dataset[_]): Option[Double] = {
    val largest = dataset.select(named: _*).na.drop().agg(max(col(FeedColumns.Label))).head()
    Option.when(!largest.isNullAt(0))(largest.getDouble(0))
  }

  private def named: Seq[Column] = inputs.map(i => i.value.as(i.name)) ++ Seq(label.as(FeedColumns.Label)) ++
    weight.map(_.as(FeedColumns.Weight)) ++ validation.map(_.as(FeedColumns.Validation)) ++ group.map(_.as(FeedColumns.Group))

  /** What the workers need to know of these rows. */
  def spec(frame: DataFrame, batchRows: Int, skipInvalid: Boolean): FeedSpec = FeedSpec(
    StructType(frame.schema.map(f => StructField(f.name, FeedColumns.storage(f.dataType), nullable = false))),
    inputs.map(_.name),
    inputs.collect { case FeedInput(name, _, Some(shape)) => name -> shape }.toMap,
    batchRows,
    skipInvalid)
}

private[flambeau] object FeedColumns {
  val Label = "__label"
  val Weight = "__weight"
  val Validation = "__validation"
  val Group = "__group"
  val Id = "__id"
  val Slot = "__slot"

  /** Labels of classes end here. */
  val LargestClass = 1e6

  /** Of `monotonically_increasing_id`: the position in a partition is in the low bits, the partition above. */
  val PositionBits = 33

  /** The rows of a frame as they are stored. */
  def rows(frame: DataFrame): classic.Dataset[_] = frame match {
    case dataset: classic.Dataset[_] => dataset
    case other => throw new IllegalStateException(s"training needs a classic session, not ${other.getClass.getName}")
  }

  private def storage(dataType: DataType): DataType = dataType match {
    case udt: UserDefinedType[_] => udt.sqlType
    case ArrayType(element, _) => ArrayType(storage(element), containsNull = false)
    case other => other
  }
}

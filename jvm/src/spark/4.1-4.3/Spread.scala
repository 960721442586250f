package io.flambeau.spark

import org.apache.spark.sql.{Column, DataFrame}

/** Rows to the partitions that a column names. */
object Spread {

  /** `partitions` of them; `partition`, an int, is a row's own, from 0. */
  def byPartition(frame: DataFrame, partitions: Int, partition: Column): DataFrame = frame.repartitionById(partitions, partition)
}

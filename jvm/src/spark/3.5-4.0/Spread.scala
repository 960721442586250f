package io.flambeau.spark

import org.apache.spark.sql.{Column, DataFrame}
import org.apache.spark.sql.catalyst.expressions.{Literal, Murmur3Hash}
import org.apache.spark.sql.functions.{element_at, lit, typedLit}

/** Rows to the partitions that a column names. */
object Spread {
  // Of Spark's HashPartitioning.
  private val Seed = 42

  /**
   * `partitions` of them; `partition`, an int, is a row's own, from 0. This line of Spark partitions by hash only, so each row gets the
   * number whose hash is its partition.
   */
  def byPartition(frame: DataFrame, partitions: Int, partition: Column): DataFrame =
    frame.repartition(partitions, element_at(typedLit(numbers(partitions)), partition + lit(1)))

  /** By partition, the least number that goes there. */
  private def numbers(partitions: Int): Seq[Int] = {
    val found = Array.fill(partitions)(-1)
    Iterator.from(0).takeWhile(_ => found.contains(-1)).foreach { number =>
      val at = Math.floorMod(Murmur3Hash(Seq(Literal(number)), Seed).eval().asInstanceOf[Int], partitions)
      if (found(at) < 0) found(at) = number
    }
    found.toSeq
  }
}

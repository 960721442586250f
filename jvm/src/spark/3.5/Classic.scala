package io.flambeau.spark

import org.apache.spark.sql.{Dataset, SparkSession}

/** Sessions and datasets of this process, rather than of a Connect server: a process of this line knows no others. */
object Classic {
  type Session = SparkSession
  type Rows[T] = Dataset[T]
}

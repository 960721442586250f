package io.flambeau.spark

import org.apache.spark.sql.classic

/** Sessions and datasets of this process, rather than of a Connect server. */
object Classic {
  type Session = classic.SparkSession
  type Rows[T] = classic.Dataset[T]
}

package io.flambeau.spark

import org.apache.spark.sql.catalyst.expressions.NullIntolerant

/** An expression that is NULL where one of its children is. */
trait NullForNull extends NullIntolerant

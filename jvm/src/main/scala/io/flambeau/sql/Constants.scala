package io.flambeau.sql

import scala.util.control.NonFatal

import org.apache.spark.sql.catalyst.expressions.{Cast, Expression}
import org.apache.spark.sql.types._
import org.apache.spark.unsafe.types.UTF8String

/** Arguments that must be known before a query runs. Each fails with FLAMBEAU_BAD_ARGUMENT. */
private[flambeau] object Constants {

  /** As Catalyst holds it; null for NULL. */
  def value(function: String, parameter: String, argument: Expression): Any = {
    val value = Arguments.unnamed(argument)
    if (!value.resolved || !value.foldable) {
      Arguments.fail(function, s"$parameter must be a literal, not ${value.sql}: it must be known before the query runs")
    }
    try value.eval()
    catch { case NonFatal(cause) => Arguments.fail(function, s"$parameter cannot be computed from ${value.sql}: ${cause.getMessage}") }
  }

  /** A whole number of at least 1. */
  def positiveInt(function: String, parameter: String, argument: Expression): Int = {
    val number = (value(function, parameter, argument), Arguments.unnamed(argument).dataType) match {
      case (n: Number, IntegerType | LongType | ShortType | ByteType) => n.longValue
      case (other, _) => Arguments.fail(function, s"$parameter must be a positive whole number, not $other")
    }
    if (number < 1 || number > Int.MaxValue) Arguments.fail(function, s"$parameter must be at least 1, not $number")
    number.toInt
  }

  /** Any number but NaN. */
  def number(function: String, parameter: String, argument: Expression): Double = {
    val literal = Arguments.unnamed(argument)
    value(function, parameter, argument)
    val number = literal.dataType match {
      case _: NumericType => Cast(literal, DoubleType).eval()
      case other => Arguments.fail(function, s"$parameter must be a number, not ${other.sql}")
    }
    number match {
      case known: Double if !known.isNaN => known
      case other => Arguments.fail(function, s"$parameter must be a number, not $other")
    }
  }

  /** A number from 0 to 1. */
  def share(function: String, parameter: String, argument: Expression): Double = {
    val share = number(function, parameter, argument)
    if (share < 0 || share > 1) Arguments.fail(function, s"$parameter must be from 0 to 1, not $share")
    share
  }

  /** True or false. */
  def flag(function: String, parameter: String, argument: Expression): Boolean = value(function, parameter, argument) match {
    case known: Boolean => known
    case other => Arguments.fail(function, s"$parameter must be true or false, not $other")
  }

  /** A string. */
  def text(function: String, parameter: String, argument: Expression): String = value(function, parameter, argument) match {
    case string: UTF8String => string.toString
    case null => Arguments.fail(function, s"$parameter is NULL")
    case _ => Arguments.fail(function, s"$parameter must be a string, not ${Arguments.unnamed(argument).sql}")
  }
}

package io.flambeau.conf

import scala.util.Try

import org.apache.spark.network.util.{ByteUnit, JavaUtils}

import io.flambeau.FlambeauAnalysisException

/**
 * One setting: its key, its type and its meaning.
 *
 * @param default
 *   as text, as a user would write it
 * @param values
 *   its type, unit and range
 * @param perProcess
 *   fixed when the application starts; `SET` in a session has no effect
 */
final case class Setting[T](key: String, default: String, values: Values[T], doc: String, perProcess: Boolean = false) {

  /** The reason why this text is not valid, or None. */
  def problem(text: String): Option[String] =
    if (values.read(text.trim).isDefined) None
    else {
      val usual = if (default.isEmpty) "" else s" (default $default)"
      Some(s"$key is '$text', but it must be ${values.described}$usual")
    }

  /** @throws FlambeauAnalysisException FLAMBEAU_BAD_SETTING */
  def parse(text: String): T = values.read(text.trim).getOrElse(
    throw new FlambeauAnalysisException("FLAMBEAU_BAD_SETTING", problem(text).mkString))
}

/** The type of a setting. */
sealed trait Values[T] {

  /** Type, unit and range, as the table and messages show them: "a whole number of …". */
  def described: String

  /** The value of a trimmed text, or None if it is not valid. */
  def read(text: String): Option[T]
}

object Values {

  final case class Whole(unit: String, from: Long, to: Long) extends Values[Long] {
    override def described: String = s"a whole number of $unit, $from to $to"
    override def read(text: String): Option[Long] = Try(text.toLong).toOption.filter(n => n >= from && n <= to)
  }

  final case class Real(from: Double, to: Double) extends Values[Double] {
    override def described: String = s"a number, $from to $to"
    override def read(text: String): Option[Double] = Try(text.toDouble).toOption.filter(x => x >= from && x <= to)
  }

  /** Spark's suffixes: `32m`, `1g`; a bare number is bytes. */
  final case class Bytes(from: String, to: String) extends Values[Long] {
    override def described: String = s"a size, $from to $to (bytes, or with k, m, g or t after the number)"
    override def read(text: String): Option[Long] =
      parse(text).filter(n => parse(from).exists(_ <= n) && parse(to).exists(_ >= n))
    private def parse(text: String): Option[Long] = Try(JavaUtils.byteStringAs(text, ByteUnit.BYTE)).toOption
  }

  final case class OneOf[T <: Named](values: NamedValues[T]) extends Values[T] {
    override def described: String = oneOf(values.names.toSeq)
    override def read(text: String): Option[T] = values.find(text)
  }

  case object Flag extends Values[Boolean] {
    override def described: String = oneOf(Seq("true", "false"))
    override def read(text: String): Option[Boolean] = Some(text).filter(Set("true", "false")).map(_.toBoolean)
  }

  /** A device by libtorch's name, or how it is found. */
  case object Device extends Values[String] {
    override def described: String = "auto, cpu, cuda or cuda:N with the number of a device"
    override def read(text: String): Option[String] = Some(text).filter(_.matches("auto|cpu|cuda|cuda:(0|[1-9][0-9]?)"))
  }

  /** Words as messages list them. */
  def oneOf(words: Seq[String]): String = words.init.mkString("", ", ", s" or ${words.last}")

  /** Paths or URIs. */
  case object Folders extends Values[Seq[String]] {
    override def described: String = "folders (paths or URIs), comma-separated"
    override def read(text: String): Option[Seq[String]] = Some(FlambeauConf.split(text))
  }

  /** Of a server. The code that connects judges it: a message about it must not show a password. */
  case object Address extends Values[String] {
    override def described: String = "an http:// or https:// address"
    override def read(text: String): Option[String] = Some(text)
  }

  /** A path that is the same on every machine; empty if it is not set. */
  case object LocalFolder extends Values[String] {
    override def described: String = "the path of a folder on each machine, not a URI"
    override def read(text: String): Option[String] =
      Some(text).filterNot(t => t.matches("[A-Za-z][A-Za-z0-9+.-]*:.*") || t.contains('\u0000'))
  }
}

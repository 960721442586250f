package io.flambeau.conf

import com.fasterxml.jackson.annotation.JsonValue

/** One of a few values, each with a name. Users write the name in a setting or parameter, and the native side gets the name. */
trait Named extends Product with Serializable {
  @JsonValue def name: String

  /** The name, so that messages show it. */
  override def toString: String = name
}

/** All values of one kind. */
abstract class NamedValues[T <: Named] {

  /** In the order in which messages list them. */
  val all: Seq[T]

  /** @throws IllegalArgumentException if no value has this name */
  final def of(name: String): T = find(name).getOrElse(throw new IllegalArgumentException(s"'$name' is not one of ${names.mkString(", ")}"))

  final def find(name: String): Option[T] = all.find(_.name == name)

  final def names: Array[String] = all.map(_.name).toArray
}

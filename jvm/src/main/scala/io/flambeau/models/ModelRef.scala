package io.flambeau.models

/**
 * A model as the driver resolved it; travels to executors inside plans.
 *
 * @param name
 *   as the user wrote it, for messages
 * @param location
 *   where executors find it: `embedded:<name>` or a URI
 */
final case class ModelRef(name: String, location: String, spec: ModelSpec) {

  /** Two references are the same model when place and content are, however it was called. */
  override def equals(other: Any): Boolean = other match {
    case that: ModelRef => location == that.location && spec.hash == that.spec.hash
    case _ => false
  }

  override def hashCode: Int = (location, spec.hash).hashCode
}

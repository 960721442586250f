package io.flambeau.models

/**
 * A model as the driver resolved it; travels to executors inside plans.
 *
 * @param name
 *   as the user wrote it, for messages
 * @param location
 *   where it was found: `embedded:<name>` or a URI
 * @param origin
 *   how executors get its files
 */
final case class ModelRef(name: String, location: String, spec: ModelSpec, private[models] val origin: Origin = Origin.InPlace) {

  /** Two references are the same model if location and content are equal, whatever name the user wrote. */
  override def equals(other: Any): Boolean = other match {
    case that: ModelRef => location == that.location && spec.hash == that.spec.hash
    case _ => false
  }

  override def hashCode: Int = (location, spec.hash).hashCode

  override def toString: String = s"ModelRef($name, $location, ${spec.hash})"
}

/** How an executor gets a package's files. */
private[models] sealed trait Origin extends Serializable

private[models] object Origin {

  /** They are where `location` says, on every machine: embedded in a jar, or a folder when driver and executor are one. */
  case object InPlace extends Origin

  /** In this folder of the only machine, whatever `location` says: the driver downloaded them, and runs the tasks itself. */
  final case class Folder(path: String) extends Origin

  /**
   * Fetched into a folder of the machine.
   *
   * @param manifest
   *   the text of `model.toml`
   * @param served
   *   where the driver serves the files; None: every machine reads `location` itself
   */
  final case class Fetched(manifest: String, files: Seq[PackageManifest.File], served: Option[String], hadoop: HadoopSettings) extends Origin
}

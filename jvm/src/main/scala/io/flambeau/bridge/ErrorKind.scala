package io.flambeau.bridge

/**
 * Who must act on a native failure.
 *
 * @param name
 *   the word that native code sends (rust/engine/src/error.rs, rust/bridge/src/failure.rs)
 * @param condition
 *   the error condition that users see
 */
sealed abstract class ErrorKind(val name: String, val condition: String) extends Product with Serializable

object ErrorKind {

  /** A row's content. */
  case object BadInput extends ErrorKind("bad_input", "FLAMBEAU_BAD_INPUT")

  /** A package or program. */
  case object BadModel extends ErrorKind("bad_model", "FLAMBEAU_BAD_MODEL")

  /** Arguments that do not fit the model. */
  case object BadRequest extends ErrorKind("bad_request", "FLAMBEAU_BAD_ARGUMENT")

  /** A checkpoint that is damaged. */
  case object BadCheckpoint extends ErrorKind("bad_checkpoint", "FLAMBEAU_BAD_ARGUMENT")

  /** libtorch could not allocate. */
  case object OutOfMemory extends ErrorKind("out_of_memory", "FLAMBEAU_OUT_OF_MEMORY")

  /** A GPU that is absent, cannot be used, or has failed. */
  case object Device extends ErrorKind("device", "FLAMBEAU_DEVICE")

  /** Another rank of a group failed or is gone. */
  case object Peer extends ErrorKind("peer", "FLAMBEAU_PEER")

  /** A local file cannot be written or read. */
  case object Disk extends ErrorKind("disk", "FLAMBEAU_STORAGE")

  /** A loss that is NaN or infinite. */
  case object Diverged extends ErrorKind("diverged", "FLAMBEAU_DIVERGED")

  /** libtorch refused. */
  case object Torch extends ErrorKind("torch", "FLAMBEAU_NATIVE")

  /** The task was killed. */
  case object Canceled extends ErrorKind("canceled", "FLAMBEAU_NATIVE")

  /** A bug in Flambeau that native code did not detect in time. */
  case object Panic extends ErrorKind("panic", "FLAMBEAU_NATIVE")

  /** A bug in Flambeau. */
  case object Internal extends ErrorKind("internal", "FLAMBEAU_NATIVE")

  private val all = Seq(BadInput, BadModel, BadRequest, BadCheckpoint, OutOfMemory, Device, Peer, Disk, Diverged, Torch, Canceled, Panic, Internal)

  /** The kind of this name; an unknown name is a bug in Flambeau too. */
  def of(name: String): ErrorKind = all.find(_.name == name).getOrElse(Internal)
}

package io.flambeau.bridge

/**
 * A failure on the native side, thrown by native methods; one of a checkpoint again with the file's name.
 *
 * @param row
 *   index of the row in the batch, or -1 if no single row caused it.
 */
final class NativeException(val kind: ErrorKind, message: String, val row: Long) extends RuntimeException(message) {

  /** Called by native code. */
  def this(kind: String, message: String, row: Long) = this(ErrorKind.of(kind), message, row)
}

package io.flambeau.bridge

/**
 * A failure on the native side, thrown by native methods; one of a checkpoint again with the file's name.
 *
 * @param kind
 *   `bad_input` (a row's content), `bad_model` (a package or program), `bad_request` (arguments that do not fit the model),
 *   `torch` (libtorch refused), `out_of_memory` (libtorch could not allocate), `peer` (another rank of a group failed or is
 *   gone), `disk` (a local file cannot be written or read), `bad_checkpoint` (one that is damaged), `diverged` (a loss that is NaN or
 *   infinite), `cancelled`, `panic` (a bug of ours), `internal`.
 * @param row
 *   index of the row in the batch, or -1 where no single row is to blame.
 */
final class NativeException(val kind: String, message: String, val row: Long) extends RuntimeException(message)

package io.flambeau.bridge

/**
 * A model in the memory of this process.
 *
 * @param variant
 *   the file of the package that was loaded
 * @param precision
 *   that of the variant
 * @param engine
 *   what runs its program: `torchscript`, `fused`, `aot` or `cuda`
 * @param device
 *   `cpu` or `cuda:N`
 */
final case class ModelFacts(variant: String, precision: String, engine: String, device: String, weightsBytes: Long)

/** Why rows are bad, as the native side counts them: the order of its counters. */
private[flambeau] object BadRowCauses {
  val names: Seq[String] =
    Seq("unreadable", "unsupported_format", "too_large", "wrong_shape", "out_of_range", "program_failed", "library_failed")
}

package io.flambeau.bridge

/**
 * The JSON of the boundary: one case class for each specification that Scala writes, and the words in it. [[Json]] writes
 * the fields in snake_case, in full; a `None` is `null`. Rust parses the same fields (`rust/engine`) and rejects others.
 *
 * Defaults and bounds are not here: they are those of the settings (`conf`) and of the estimators' parameters (`ml`). Each
 * specification has a file in `tests/golden`, which tests of both sides compare with.
 */
package object spec

package io.flambeau.bridge.spec

import io.flambeau.conf.{Named, NamedValues}

/** How a search for neighbors compares two vectors. */
sealed abstract class NearestMetric(override val name: String) extends Named

object NearestMetric extends NamedValues[NearestMetric] {
  case object Cosine extends NearestMetric("cosine")
  case object Dot extends NearestMetric("dot")
  case object L2 extends NearestMetric("l2")
  override val all: Seq[NearestMetric] = Seq(Cosine, Dot, L2)
}

/**
 * What a search for neighbors looks for.
 *
 * @param k
 *   neighbors of each query
 * @param threshold
 *   the smallest similarity, or the largest distance, of a neighbor
 * @param smallerIds
 *   whether a neighbor's id must be smaller than the query's
 */
final case class NearestSpec(metric: NearestMetric, k: Int, threshold: Option[Double], smallerIds: Boolean)

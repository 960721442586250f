package io.flambeau.bridge

import com.fasterxml.jackson.databind.annotation.JsonDeserialize

import io.flambeau.conf.{Named, NamedValues}

/**
 * A finished epoch. `validationLoss` and `metrics` are over the validation rows of all workers; they are absent if there are
 * none. Losses are weighted means. `lr` is that of the epoch's last step. `samples` is the number of rows over all workers.
 * `waitedSeconds` is the part of `seconds` in which this worker's steps waited for their rows.
 */
final case class EpochRow(
    epoch: Int, trainLoss: Double, @JsonDeserialize(contentAs = classOf[java.lang.Double]) validationLoss: Option[Double],
    @JsonDeserialize(contentAs = classOf[java.lang.Double]) metrics: Map[String, Double], lr: Double, samples: Long, seconds: Double,
    waitedSeconds: Double)

/** Why a trainer's `run` returned. */
sealed abstract class Event(override val name: String) extends Named

object Event extends NamedValues[Event] {
  case object Running extends Event("running")

  /** One ended. */
  case object Epoch extends Event("epoch")

  /** One is due. */
  case object Checkpoint extends Event("checkpoint")
  case object Done extends Event("done")
  case object StoppedEarly extends Event("stopped_early")
  override val all: Seq[Event] = Seq(Running, Epoch, Checkpoint, Done, StoppedEarly)
}

/**
 * The state of a trainer.
 *
 * @param epoch
 *   of the next step, from 0; equals `epochs` when done
 * @param step
 *   total number of steps
 * @param epochEnded
 *   whether an epoch ended just now
 * @param ended
 *   the epochs that ended since the last report; after a restored checkpoint also all that it has
 */
final case class Progress(
    epoch: Int, epochs: Int, step: Long, stepsPerEpoch: Long, loss: Double, lr: Double, samplesPerSecond: Double, event: Event,
    epochEnded: Boolean, ended: Seq[EpochRow]) {
  def finished: Boolean = event == Event.Done || event == Event.StoppedEarly
}

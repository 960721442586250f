package io.flambeau.ui

import org.apache.spark.scheduler.SparkListenerEvent

import io.flambeau.bridge.EpochRow

/*
 * What becomes of a training, as the driver posts it on Spark's listener bus: these events are in the event log.
 */

/**
 * A fit began.
 *
 * @param id
 *   of this fit; an estimator may be fitted several times
 * @param owner
 *   the estimator's uid
 * @param runs
 *   trainings over the same rows; 0 if each group of the rows has its own, which report no epochs
 * @param epochs
 *   the most that one of them may have
 */
private[flambeau] final case class TrainingStarted(id: String, owner: String, runs: Int, workers: Int, epochs: Int, timeMillis: Long)
    extends SparkListenerEvent

/** An epoch of one of a fit's trainings. */
private[flambeau] final case class RunEpoch(run: Int, row: EpochRow)

/** Epochs that ended since the last such event, in their order; at most two such events a second. */
private[flambeau] final case class TrainingEpochs(id: String, epochs: Seq[RunEpoch]) extends SparkListenerEvent

/**
 * The fit ended.
 *
 * @param failure
 *   why it failed, if it did
 */
private[flambeau] final case class TrainingEnded(id: String, failure: Option[String], timeMillis: Long) extends SparkListenerEvent

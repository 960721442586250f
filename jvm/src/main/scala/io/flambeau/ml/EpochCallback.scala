package io.flambeau.ml

import scala.jdk.CollectionConverters._

import io.flambeau.bridge.EpochRow

/**
 * What a program does after each epoch of a training: [[TorchTrainer.setEpochCallback]].
 *
 * {{{
 * estimator.setEpochCallback(epoch => if (epoch.metrics.get("accuracy").exists(_ > 0.95)) epoch.stop())
 * }}}
 */
trait EpochCallback {

  /** Called on the driver, on one thread, in the order in which epochs end. */
  def onEpochEnd(epoch: EpochEnd): Unit
}

/**
 * An epoch that has ended.
 *
 * @param paramMap
 *   which of the parameter maps of the fit is trained, from 0
 * @param epoch
 *   from 1, as in the history
 * @param trainLoss
 *   the weighted mean over the epoch
 * @param validationLoss
 *   if there are validation rows
 * @param metrics
 *   on the validation rows, by name
 * @param learningRate
 *   of the last step
 * @param samples
 *   rows that were trained on
 * @param seconds
 *   how long the epoch took
 */
final class EpochEnd private[ml] (
    val paramMap: Int, val epoch: Int, val maxEpochs: Int, val trainLoss: Double, val validationLoss: Option[Double], val metrics: Map[String, Double],
    val learningRate: Double, val samples: Long, val seconds: Double) {
  private var stops = false

  /** Ends this training after this epoch, as `patience` does. */
  def stop(): Unit = stops = true

  private[ml] def isStopped: Boolean = stops

  /** For Python: NaN if there is none. */
  private[flambeau] def validationLossOrNaN: Double = validationLoss.getOrElse(Double.NaN)

  /** For Python. */
  private[flambeau] def metricsAsJava: java.util.Map[String, Double] = metrics.asJava
}

private[ml] object EpochEnd {

  /**
   * Calls `callback`, and returns whether it stopped the training.
   *
   * @param runs
   *   the parameter map and `maxEpochs` of each training
   */
  def calls(callback: EpochCallback, runs: Seq[(Int, Int)])(run: Int, row: EpochRow): Boolean = {
    val (paramMap, maxEpochs) = runs(run)
    val epoch = new EpochEnd(
      paramMap, row.epoch + 1, maxEpochs, row.trainLoss, row.validationLoss, row.metrics, row.lr, row.samples, row.seconds)
    callback.onEpochEnd(epoch)
    epoch.isStopped
  }
}

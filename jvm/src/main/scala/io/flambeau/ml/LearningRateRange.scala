package io.flambeau.ml

import scala.collection.mutable

import io.flambeau.bridge.spec.{ScheduleName, ScheduleSpec}

/**
 * What [[TorchTrainer.findLearningRate]] found: the losses of steps with ever greater learning rates (L. Smith, "Cyclical Learning Rates for
 * Training Neural Networks", 2017).
 *
 * @param learningRates
 *   of the steps
 * @param losses
 *   of the steps, before each changed the parameters
 */
final class LearningRateRange private[ml] (val learningRates: Array[Double], val losses: Array[Double]) extends Serializable {

  /** The losses as a moving average, which keeps 0.9 of itself in each step; without the bias of its start. */
  lazy val smoothed: Array[Double] = LearningRateRange.smoothed(losses)

  /** The rate at which the smoothed loss falls fastest, in relation to the logarithm of the rate: the middle of the ten steps over which it falls most. */
  lazy val suggestion: Double = {
    val apart = LearningRateRange.LeastSteps
    val falls = smoothed.drop(apart).zip(smoothed).map { case (after, before) => after - before }
    learningRates(falls.indices.minBy(falls(_)) + apart / 2)
  }
}

private[ml] object LearningRateRange {

  /** Fewer say nothing. */
  val LeastSteps = 9

  /** Part of the average that a step keeps. */
  private val Kept = 0.9

  /** The loss has exploded if its average is this many times its least one. */
  private val Exploded = 4.0

  /** Epochs are steps: the rate is multiplied after each. */
  def schedule(from: Double, to: Double, steps: Int): ScheduleSpec =
    ScheduleSpec(ScheduleName.Step, warmupSteps = 0, stepEpochs = 1, gamma = math.pow(to / from, 1.0 / (steps - 1)))

  private def smoothed(losses: Array[Double]): Array[Double] = {
    val averages = losses.scanLeft(0.0)((average, loss) => Kept * average + (1 - Kept) * loss).drop(1)
    averages.zipWithIndex.map { case (average, step) => average / (1 - math.pow(Kept, step + 1)) }
  }

  /** Collects the steps, and stops when the loss explodes. */
  final class Seen extends EpochCallback {
    private val rates = mutable.ArrayBuffer.empty[Double]
    private val losses = mutable.ArrayBuffer.empty[Double]

    override def onEpochEnd(epoch: EpochEnd): Unit = {
      rates += epoch.learningRate
      losses += epoch.trainLoss
      val averages = smoothed(losses.toArray)
      if (isEnough && averages.last > Exploded * averages.min) epoch.stop()
    }

    /** Whether there are enough steps for a suggestion. */
    def isEnough: Boolean = losses.length > LeastSteps

    def range: LearningRateRange = new LearningRateRange(rates.toArray, losses.toArray)
  }
}

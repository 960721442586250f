package io.flambeau.train

import org.apache.spark.SparkContext
import org.apache.spark.util.AccumulatorV2

import io.flambeau.bridge.{Json, Progress}
import io.flambeau.ui.RunEpoch

/** The last value of a number on rank 0, shown in the Spark UI by stage. */
private[flambeau] final class LatestValue extends AccumulatorV2[java.lang.Double, java.lang.Double] {
  private var latest = Option.empty[java.lang.Double]

  override def isZero: Boolean = latest.isEmpty
  override def reset(): Unit = latest = None
  override def add(value: java.lang.Double): Unit = latest = Some(value)
  override def merge(other: AccumulatorV2[java.lang.Double, java.lang.Double]): Unit = if (!other.isZero) latest = Some(other.value)
  override def value: java.lang.Double = latest.getOrElse(java.lang.Double.valueOf(0.0))

  override def copy(): LatestValue = {
    val same = new LatestValue
    same.latest = latest
    same
  }
}

/** The numbers of a training in the Spark UI, under the stage's accumulators. */
private[flambeau] final case class TrainingMetrics(
    epochs: LatestValue, steps: LatestValue, loss: LatestValue, learningRate: LatestValue, samplesPerSecond: LatestValue) {

  def show(progress: Progress): Unit = {
    epochs.add(progress.epoch.toDouble)
    steps.add(progress.step.toDouble)
    loss.add(progress.loss)
    learningRate.add(progress.lr)
    samplesPerSecond.add(progress.samplesPerSecond)
  }
}

private[flambeau] object TrainingMetrics {
  def register(context: SparkContext): TrainingMetrics = {
    def named(name: String): LatestValue = {
      val value = new LatestValue
      context.register(value, s"training $name")
      value
    }
    TrainingMetrics(named("epochs"), named("steps"), named("loss"), named("learning rate"), named("samples/s"))
  }
}

/**
 * The state of one of a job's trainings, as rank 0 reports it to the driver while it runs.
 *
 * @param together
 *   how many step at once, this one among them
 * @param ended
 *   epochs that ended since the last report, of all that step at once
 */
private[flambeau] final case class Report(
    run: Int, together: Int, runs: Int, epoch: Int, epochs: Int, step: Long, stepsPerEpoch: Long, loss: Double, samplesPerSecond: Double, finished: Boolean,
    ended: Seq[RunEpoch]) {

  def json: String = Json.write(this)
}

private[flambeau] object Report {
  def of(run: Int, together: Int, runs: Int, progress: Progress, ended: Seq[RunEpoch]): Report = Report(
    run, together, runs, progress.epoch, progress.epochs, progress.step, progress.stepsPerEpoch, progress.loss, progress.samplesPerSecond, progress.finished,
    ended)

  def parse(json: String): Report = Json.as[Report](json)
}

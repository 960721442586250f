package io.flambeau.train

import org.apache.spark.sql.types.StructType

import io.flambeau.bridge.EpochRow
import io.flambeau.bridge.spec.{Activation, AugmentSpec, DenseColumn, HeadSpec, ImageLimits, LearningRateFactor, ProgramSpec, TrainingSettings}
import io.flambeau.models.{HadoopSettings, ModelRef, ModelStore}

/*
 * Specifications from the driver for the workers: plain values, serialized with the tasks. The native specification
 * ([[io.flambeau.bridge.spec]]) is completed on the workers, since sizes and classes are known only after all rows were read.
 */

/** What is trained. */
private[flambeau] sealed trait Program extends Serializable

private[flambeau] object Program {

  /** Layers over the dataset's one input. */
  final case class Head(hidden: Seq[Int], activation: Activation, dropout: Double) extends Program {

    /** With the sizes that follow from the rows. */
    def sized(inputs: Int, outputs: Int): HeadSpec = HeadSpec(inputs, outputs, hidden, activation, dropout)
  }

  /**
   * A trainable package.
   *
   * @param output
   *   the output that the loss is of
   * @param parameters
   *   which parameters are trained, and how
   * @param lossMethod
   *   the program's own method, in place of a loss by name
   * @param metricMethods
   *   the program's own methods for metrics on the validation rows
   * @param augment
   *   changes made to images at random
   */
  final case class Package(
      ref: ModelRef, output: String, parameters: ParameterSettings, lossMethod: Option[String], metricMethods: Seq[String], augment: Option[AugmentSpec])
      extends Program {

    /** For the native side; the package is then on this machine. */
    def spec: ProgramSpec = ProgramSpec(
      None, Some(ModelStore.localDirectory(ref)), Some(output), parameters.frozen, parameters.learningRateFactors, parameters.noWeightDecay, lossMethod,
      metricMethods)

    /** Whether it names something in the program that may not be there. */
    def namesSomething: Boolean = lossMethod.isDefined || metricMethods.nonEmpty || parameters != ParameterSettings(Nil, Nil, Nil)
  }

  /**
   * Which parameters are trained, and how.
   *
   * @param frozen
   *   name patterns of parameters that stay as they are
   * @param learningRateFactors
   *   of parameters that do not have the optimizer's learning rate
   * @param noWeightDecay
   *   name patterns of parameters that weight decay leaves alone
   */
  final case class ParameterSettings(frozen: Seq[String], learningRateFactors: Seq[LearningRateFactor], noWeightDecay: Seq[String])
}

/** The kind of labels. */
private[flambeau] sealed trait LearningTask extends Serializable

private[flambeau] object LearningTask {

  /**
   * Labels are 0, 1, …
   *
   * @param classes
   *   how many there are, from the column's metadata or the program; otherwise the largest label plus one
   * @param weights
   *   one per class
   * @param balance
   *   weights that make all classes count the same
   */
  final case class Classification(classes: Option[Int], weights: Option[Seq[Double]], balance: Boolean) extends LearningTask

  /** Labels are numbers, or vectors of them. */
  case object Regression extends LearningTask
}

/**
 * The rows as they reach the workers.
 *
 * @param schema
 *   inputs, then `__label` and so on (see [[DatasetColumns]]), types as stored in rows
 * @param inputs
 *   names of the inputs, first in `schema`
 * @param pairInputs
 *   names of the partners' inputs, after them; none without pairs
 * @param dense
 *   the tensor of a row of each column of numbers; 0 in a shape: learned from the first rows
 * @param shards
 *   number of shards
 * @param labelRange
 *   least and largest label, where the loss sets bounds
 * @param skipInvalid
 *   whether a row that cannot be trained on is left out, or fails the fit
 * @param reader
 *   the package that reads pictures, texts and sounds
 * @param images
 *   limits for a picture
 */
private[flambeau] final case class DatasetPlan(
    schema: StructType, inputs: Seq[String], pairInputs: Seq[String], dense: Map[String, DenseColumn], shards: Int,
    labelRange: Option[(Double, Double)], skipInvalid: Boolean, reader: Option[ModelRef], images: ImageLimits) {
  def index(column: String): Option[Int] = Some(schema.fieldNames.indexOf(column)).filter(_ >= 0)
}

/**
 * Where checkpoints of one training go.
 *
 * @param directory
 *   this fit's own folder; None: none are written
 * @param resumeFrom
 *   where the first attempt continues from
 */
private[flambeau] final case class CheckpointSpec(directory: Option[String], keep: Int, resumeFrom: Option[String])

/** The description of the result's package. `featurizer`: the package that computes a head's features; the result contains its program. */
private[flambeau] final case class PackageSpec(
    name: String, labels: Option[Seq[String]], license: String, description: String, featurizer: Option[ModelRef])

/**
 * One training over the dataset.
 *
 * @param settings
 *   the part of the native specification that does not depend on the data
 */
private[flambeau] final case class RunSpec(
    program: Program, learning: LearningTask, settings: TrainingSettings, checkpoints: CheckpointSpec, result: PackageSpec, logDir: Option[String]) {

  /** Fails with an IOException if its files other than the model cannot be written from here. */
  def probe(hadoop: HadoopSettings): Unit = {
    checkpoints.directory.foreach(Storage.probe("checkpointDir", _, hadoop))
    logDir.foreach(Storage.probe("logDir", _, hadoop))
  }
}

/**
 * Several trainings over one dataset, one after another.
 *
 * @param owner
 *   the estimator's uid, for messages
 * @param asksAfterEpochs
 *   whether the driver decides after each epoch if a training continues ([[EpochCalls]])
 */
private[flambeau] final case class JobSpec(
    owner: String, dataset: DatasetPlan, runs: Seq[RunSpec], workers: Int, timeoutMillis: Long, hadoop: HadoopSettings, asksAfterEpochs: Boolean)

/**
 * One training's result from rank 0. The files of its package, except for its featurizer's, were sent before ([[ModelFileReceiver]]).
 *
 * @param attempt
 *   of the task that sent them
 * @param run
 *   which of the job's trainings it is
 */
private[flambeau] final case class TrainedModelInfo(attempt: Long, run: Int, history: Seq[EpochRow], steps: Long, stoppedEarly: Boolean)

/** A worker's result: rank 0 has a result for each run, the others have none; any may have a failure. */
private[flambeau] final case class WorkerResult(stats: DatasetStats, trained: Seq[TrainedModelInfo], failure: Option[Failure])

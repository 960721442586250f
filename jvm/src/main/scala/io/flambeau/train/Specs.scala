package io.flambeau.train

import org.apache.spark.sql.types.StructType

import io.flambeau.bridge.EpochRow
import io.flambeau.bridge.spec.{Activation, AugmentSpec, DenseColumn, HeadSpec, ImageLimits, TrainingSettings}
import io.flambeau.models.{HadoopSettings, ModelRef}

/*
 * What the driver tells the workers: plain values, serialized with the tasks. The native specification
 * ([[io.flambeau.bridge.spec]]) is completed on the workers, since sizes and classes are known only when all rows were seen.
 */

/** What is trained. */
private[flambeau] sealed trait Program extends Serializable

private[flambeau] object Program {

  /** Layers over the feed's one input. */
  final case class Head(hidden: Seq[Int], activation: Activation, dropout: Double) extends Program {

    /** With the sizes that follow from the rows. */
    def sized(inputs: Int, outputs: Int): HeadSpec = HeadSpec(inputs, outputs, hidden, activation, dropout)
  }

  /**
   * A trainable package.
   *
   * @param output
   *   the output that the loss is of
   * @param frozen
   *   name patterns of parameters that stay as they are
   * @param lossMethod
   *   the program's own method, in place of a loss by name
   * @param augment
   *   changes made to images at random
   */
  final case class Package(
      ref: ModelRef, output: String, frozen: Seq[String], lossMethod: Option[String], augment: Option[AugmentSpec])
      extends Program
}

/** What the labels are. */
private[flambeau] sealed trait Learning extends Serializable

private[flambeau] object Learning {

  /**
   * Labels are 0, 1, …
   *
   * @param classes
   *   how many there are, where the column's metadata or the program says; else the largest label plus one
   * @param weights
   *   one a class
   * @param balance
   *   weights that make all classes count the same
   */
  final case class Classes(classes: Option[Int], weights: Option[Seq[Double]], balance: Boolean) extends Learning

  /** Labels are numbers, or vectors of them. */
  case object Numbers extends Learning
}

/**
 * The rows as they reach the workers.
 *
 * @param schema
 *   inputs, then `__label` and so on (see [[FeedColumns]]), types as stored in rows
 * @param inputs
 *   names of the inputs, first in `schema`
 * @param dense
 *   what a row of each column of numbers becomes; 0 in a shape: learned from the first rows
 * @param slots
 *   how many slots rows are dealt over
 * @param labelRange
 *   least and largest label, where the loss sets bounds
 * @param skipInvalid
 *   whether a row that cannot be trained on is left out, or fails the fit
 * @param reader
 *   the package that reads pictures, texts and sounds
 * @param images
 *   what a picture may cost
 */
private[flambeau] final case class FeedPlan(
    schema: StructType, inputs: Seq[String], dense: Map[String, DenseColumn], slots: Int, labelRange: Option[(Double, Double)],
    skipInvalid: Boolean, reader: Option[ModelRef], images: ImageLimits) {
  def index(column: String): Option[Int] = Some(schema.fieldNames.indexOf(column)).filter(_ >= 0)
}

/**
 * Where checkpoints of one training go.
 *
 * @param directory
 *   this fit's own folder; None: none are written
 * @param resumeFrom
 *   from where the first attempt goes on
 */
private[flambeau] final case class CheckpointSpec(directory: Option[String], keep: Int, resumeFrom: Option[String])

/** What the package of the result says of itself. `featurizer`: the package in front of a head, whose program the result contains. */
private[flambeau] final case class PackageSpec(
    name: String, labels: Option[Seq[String]], license: String, description: String, featurizer: Option[ModelRef])

/**
 * One training over the feed.
 *
 * @param settings
 *   the part of the native specification that does not depend on the data
 */
private[flambeau] final case class RunSpec(
    program: Program, learning: Learning, settings: TrainingSettings, checkpoints: CheckpointSpec, result: PackageSpec, logDir: Option[String]) {

  /** Fails with an IOException if what it writes beside its model cannot be written from here. */
  def probe(hadoop: HadoopSettings): Unit = {
    checkpoints.directory.foreach(Storage.probe("checkpointDir", _, hadoop))
    logDir.foreach(Storage.probe("logDir", _, hadoop))
  }
}

/**
 * Several trainings over one feed, one after another.
 *
 * @param owner
 *   the estimator's uid, for messages
 */
private[flambeau] final case class JobSpec(
    owner: String, feed: FeedPlan, runs: Seq[RunSpec], workers: Int, timeoutMillis: Long, hadoop: HadoopSettings)

/**
 * One training's result as rank 0 tells it. The files of its package that are not its featurizer's went before ([[Arrivals]]).
 *
 * @param attempt
 *   of the task that sent them
 * @param run
 *   which of the job's trainings it is
 */
private[flambeau] final case class Trained(attempt: Long, run: Int, history: Seq[EpochRow], steps: Long, stoppedEarly: Boolean)

/** What a worker ends with: rank 0 with a result for each run, the others with none, any with the failure if there is one. */
private[flambeau] final case class Outcome(facts: Facts, trained: Seq[Trained], failure: Option[Failure])

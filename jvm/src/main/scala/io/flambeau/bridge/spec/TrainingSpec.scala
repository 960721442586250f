package io.flambeau.bridge.spec

import com.fasterxml.jackson.annotation.{JsonProperty, JsonUnwrapped}

import io.flambeau.conf.{Named, NamedValues}

/** Between a head's layers. */
sealed abstract class Activation(override val name: String) extends Named

object Activation extends NamedValues[Activation] {
  case object Relu extends Activation("relu")
  case object Tanh extends Activation("tanh")
  case object Gelu extends Activation("gelu")
  case object Sigmoid extends Activation("sigmoid")
  override val all: Seq[Activation] = Seq(Relu, Tanh, Gelu, Sigmoid)
}

/**
 * Linear layers with an activation between them.
 *
 * @param inputs
 *   features of a row
 * @param outputs
 *   classes or values of a row
 * @param dropout
 *   share of a hidden layer's values that are zeroed in training
 */
final case class HeadSpec(inputs: Int, outputs: Int, hidden: Seq[Int], activation: Activation, dropout: Double)

/**
 * The trained program: a new head, or the program of a package. One of the two is given.
 *
 * @param packageFolder
 *   of a trainable package, on this machine
 * @param output
 *   the package's output that the loss is of
 * @param frozen
 *   name patterns of parameters that stay as they are
 * @param learningRateFactors
 *   of parameters that do not have the optimizer's learning rate
 * @param noWeightDecay
 *   name patterns of parameters that weight decay leaves alone
 * @param lossMethod
 *   the program's own method, in place of a loss by name
 * @param metricMethods
 *   the program's own methods for metrics on the validation rows
 */
final case class ProgramSpec(
    head: Option[HeadSpec], @JsonProperty("package") packageFolder: Option[String], output: Option[String], frozen: Seq[String],
    learningRateFactors: Seq[LearningRateFactor], noWeightDecay: Seq[String], lossMethod: Option[String], metricMethods: Seq[String])

object ProgramSpec {

  /** A new head. */
  def of(head: HeadSpec): ProgramSpec = ProgramSpec(Some(head), None, None, Nil, Nil, Nil, None, Nil)
}

/** The factor of the learning rate of the parameters that a name pattern matches. */
final case class LearningRateFactor(parameters: String, factor: Double)

/** Random changes of training images: mirrored, shifted by up to this many pixels, brightness and contrast by this share. */
final case class AugmentSpec(flip: Boolean, shift: Int, colorJitter: Double)

/** The evaluation on validation rows after each epoch. */
final case class ValidationSpec(metric: MetricName, patience: Option[Int], minDelta: Double, restoreBest: Boolean)

/** The part of a training's specification that the estimator's parameters alone decide. */
final case class TrainingSettings(
    loss: LossName, labelSmoothing: Double, huberDelta: Double, temperature: Double, optimizer: OptimizerSpec, schedule: ScheduleSpec,
    clipNorm: Option[Double], emaDecay: Option[Double], batchRows: Int, microBatchRows: Option[Int], epochs: Int, stepsPerEpoch: Option[Int], dropLast: Boolean,
    seed: Long,
    precision: Precision, validation: ValidationSpec,
    checkpointSteps: Option[Int], checkpointEpochs: Option[Int])

/**
 * One training.
 *
 * @param inputs
 *   columns of the dataset, in the order of the program's inputs
 * @param pairInputs
 *   columns of each row's partner, in the same order; none without pairs
 * @param classWeights
 *   one factor for each class
 * @param memoryBytes
 *   total bytes of the process, if there is a limit besides the machine's
 */
final case class TrainingSpec(
    program: ProgramSpec, inputs: Seq[String], pairInputs: Seq[String], classWeights: Option[Seq[Double]], memoryBytes: Option[Long], images: ImageLimits,
    augment: Option[AugmentSpec], @JsonUnwrapped settings: TrainingSettings)

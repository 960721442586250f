package io.flambeau.ml

import org.apache.spark.ml.param.{BooleanParam, DoubleArrayParam, DoubleParam, IntArrayParam, Param, Params, ParamValidators}

import io.flambeau.bridge.spec.{Activation, LossName}
import io.flambeau.train.Program

/*
 * The head's layers, and the loss.
 */

/** A linear layer, or layers with an activation between. */
trait HasHead extends Params {

  /** Sizes of the hidden layers, from the features to the result; default none: a linear model. */
  final val hiddenLayers: IntArrayParam = new IntArrayParam(
    this, "hiddenLayers", "sizes of the hidden layers between the features and the result; none: a linear model", (sizes: Array[Int]) => sizes.forall(_ > 0))

  /** Share of each hidden layer's values that training sets to zero at random; default 0. */
  final val dropout: DoubleParam = new DoubleParam(
    this, "dropout", "share of each hidden layer's values that training sets to zero at random, from 0 to less than 1",
    ParamValidators.inRange(0, 1, lowerInclusive = true, upperInclusive = false))

  /** Function after each hidden layer; default `relu`. */
  final val activation: Param[String] = new Param[String](
    this, "activation", "function after each hidden layer: relu, tanh, gelu or sigmoid", StageParams.oneOf("activation", Activation.names))

  setDefault(hiddenLayers -> Array.empty[Int], dropout -> 0.0, activation -> "relu")

  final def getHiddenLayers: Array[Int] = $(hiddenLayers)
  def setHiddenLayers(value: Array[Int]): this.type = set(hiddenLayers, value)
  final def getDropout: Double = $(dropout)
  def setDropout(value: Double): this.type = set(dropout, value)
  final def getActivation: String = $(activation)
  def setActivation(value: String): this.type = set(activation, value)

  /** What is trained. */
  private[ml] final def headProgram: Program.Head = Program.Head($(hiddenLayers).toSeq, Activation.of($(activation)), $(dropout))
}

/** The loss, by name. */
trait HasTrainingLoss extends Params {

  private[ml] def losses: Array[String]

  /** What training minimizes; the default depends on the estimator. */
  final val loss: Param[String] = new Param[String](
    this, "loss", s"loss that training minimizes: ${losses.mkString(", ")}", (name: String) => HasTrainingLoss.allowed(losses, name))

  /** Error, in label units, above which the Huber loss grows linearly; default 1. */
  final val huberDelta: DoubleParam = new DoubleParam(
    this, "huberDelta", "Huber loss only: error, in label units, above which the loss grows linearly", StageParams.positive)

  setDefault(huberDelta -> 1.0)

  final def getLoss: String = $(loss)
  def setLoss(value: String): this.type = set(loss, value)
  final def getHuberDelta: Double = $(huberDelta)
  def setHuberDelta(value: Double): this.type = set(huberDelta, value)
}

object HasTrainingLoss {
  private[ml] val Classification = Array(LossName.CrossEntropy.name)
  private[ml] val Regression = Seq(LossName.Mse, LossName.Mae, LossName.Huber).map(_.name).toArray
  private[ml] val All: Array[String] = LossName.names

  /** A method of the program is named `method:NAME`. */
  private[ml] val Method = "method:"

  /** Its form among the names of losses. */
  private[ml] val MethodExample: String = Method + "NAME"

  private[ml] def allowed(losses: Array[String], name: String): Boolean =
    losses.contains(name) || (losses.contains(MethodExample) && name.startsWith(Method) && name.length > Method.length)
}

/** How classes count. */
trait HasClassWeights extends Params {

  /** A weight for each class, in the order of the labels; multiplied with `weightCol`. Not set: all count the same. */
  final val classWeights: DoubleArrayParam = new DoubleArrayParam(
    this, "classWeights", "weight of each class, in the order of the labels; multiplied with the rows' own weights",
    (w: Array[Double]) => w.nonEmpty && w.forall(StageParams.notNegative))

  /** Whether classes get weights so that all count the same, whatever their number of rows; default false. */
  final val balance: BooleanParam = new BooleanParam(
    this, "balance", "whether each class counts the same, whatever its number of rows: weight rows / (classes * rows of the class)")

  /** Part of the target's probability that is spread over all classes; default 0. */
  final val labelSmoothing: DoubleParam = new DoubleParam(
    this, "labelSmoothing", "part of the target's probability that is spread evenly over all classes, from 0 to less than 1",
    ParamValidators.inRange(0, 1, lowerInclusive = true, upperInclusive = false))

  setDefault(balance -> false, labelSmoothing -> 0.0)

  final def getClassWeights: Array[Double] = $(classWeights)
  def setClassWeights(value: Array[Double]): this.type = set(classWeights, value)
  final def getBalance: Boolean = $(balance)
  def setBalance(value: Boolean): this.type = set(balance, value)
  final def getLabelSmoothing: Double = $(labelSmoothing)
  def setLabelSmoothing(value: Double): this.type = set(labelSmoothing, value)
}

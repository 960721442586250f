package io.flambeau.ml

import org.apache.spark.ml.param.{BooleanParam, DoubleParam, IntParam, Param, Params, ParamValidators}

import io.flambeau.bridge.spec.{OptimizerName, OptimizerSpec, ScheduleName, ScheduleSpec}

/** The optimizer and its schedule: PyTorch's own (`torch.optim`), with the same names and numbers. */
trait HasOptimizer extends Params {

  /** `sgd`, `adam`, `adamw` (default) or `rmsprop`. */
  final val optimizer: Param[String] = new Param[String](
    this, "optimizer", "how parameters follow their gradients: sgd, adam, adamw or rmsprop", StageParams.oneOf("optimizer", OptimizerName.names))

  /** Size of a step; default 0.001. With a schedule, the largest. */
  final val learningRate: DoubleParam = new DoubleParam(
    this, "learningRate", "size of a step; with a schedule, the largest", StageParams.positive)

  /** Of sgd and rmsprop; default 0. */
  final val momentum: DoubleParam = new DoubleParam(
    this, "momentum", "part of the last step that is kept in the next (sgd, rmsprop), from 0 to less than 1",
    ParamValidators.inRange(0, 1, lowerInclusive = true, upperInclusive = false))

  /** Nesterov's momentum, of sgd with momentum; default false. */
  final val nesterov: BooleanParam = new BooleanParam(this, "nesterov", "whether to use Nesterov momentum (sgd with momentum)")

  /** How strongly parameters are pulled to zero; default 0. */
  final val weightDecay: DoubleParam = new DoubleParam(
    this, "weightDecay", "how strongly parameters are pulled towards zero; in adamw apart from the gradient", StageParams.notNegative)

  /** Norm that the gradient of a step is cut down to. Not set: it is taken as it is. */
  final val clipNorm: DoubleParam = new DoubleParam(
    this, "clipNorm", "norm of all gradients above which they are scaled down; not set: never", StageParams.positive)

  /** Share of the moving average of the parameters that a step keeps. Not set: there is no average. */
  final val emaDecay: DoubleParam = new DoubleParam(
    this, "emaDecay", "share of a moving average of all parameters that a step keeps, between 0 and 1: the average is the result; not set: the parameters are",
    ParamValidators.inRange(0, 1, lowerInclusive = false, upperInclusive = false))

  /** `constant` (default), `step`, `linear`, `cosine`, `one_cycle` or `plateau`. */
  final val schedule: Param[String] = new Param[String](
    this, "schedule", "how the learning rate changes: constant, step, linear, cosine, one_cycle or plateau", StageParams.oneOf("schedule", ScheduleName.names))

  /** Steps in which the learning rate rises to its value at the start; default 0. */
  final val warmupSteps: IntParam = new IntParam(
    this, "warmupSteps", "steps during which the learning rate rises from zero at the start", ParamValidators.gtEq(0))

  /** Epochs between two falls of the schedule `step`, and epochs without improvement before one of `plateau`; default 10. */
  final val stepEpochs: IntParam = new IntParam(
    this, "stepEpochs", "epochs (plateau: without improvement) after which the schedule multiplies the learning rate by gamma", ParamValidators.gt(0))

  /** Factor of the schedules `step` and `plateau`; default 0.1. */
  final val gamma: DoubleParam = new DoubleParam(
    this, "gamma", "factor of the schedules step and plateau, above 0 and at most 1",
    ParamValidators.inRange(0, 1, lowerInclusive = false, upperInclusive = true))

  setDefault(
    optimizer -> "adamw", learningRate -> 1e-3, momentum -> 0.0, nesterov -> false, weightDecay -> 0.0,
    schedule -> "constant", warmupSteps -> 0, stepEpochs -> 10, gamma -> 0.1)

  final def getOptimizer: String = $(optimizer)
  def setOptimizer(value: String): this.type = set(optimizer, value)
  final def getLearningRate: Double = $(learningRate)
  def setLearningRate(value: Double): this.type = set(learningRate, value)
  final def getMomentum: Double = $(momentum)
  def setMomentum(value: Double): this.type = set(momentum, value)
  final def getNesterov: Boolean = $(nesterov)
  def setNesterov(value: Boolean): this.type = set(nesterov, value)
  final def getWeightDecay: Double = $(weightDecay)
  def setWeightDecay(value: Double): this.type = set(weightDecay, value)
  final def getClipNorm: Double = $(clipNorm)
  def setClipNorm(value: Double): this.type = set(clipNorm, value)
  final def getEmaDecay: Double = $(emaDecay)
  def setEmaDecay(value: Double): this.type = set(emaDecay, value)
  final def getSchedule: String = $(schedule)
  def setSchedule(value: String): this.type = set(schedule, value)
  final def getWarmupSteps: Int = $(warmupSteps)
  def setWarmupSteps(value: Int): this.type = set(warmupSteps, value)
  final def getStepEpochs: Int = $(stepEpochs)
  def setStepEpochs(value: Int): this.type = set(stepEpochs, value)
  final def getGamma: Double = $(gamma)
  def setGamma(value: Double): this.type = set(gamma, value)

  /** For the native side. */
  private[ml] final def optimizerSpec: OptimizerSpec =
    OptimizerSpec(OptimizerName.of($(optimizer)), $(learningRate), $(momentum), $(nesterov), $(weightDecay))

  /** For the native side. */
  private[ml] final def scheduleSpec: ScheduleSpec = ScheduleSpec(ScheduleName.of($(schedule)), $(warmupSteps), $(stepEpochs), $(gamma))
}

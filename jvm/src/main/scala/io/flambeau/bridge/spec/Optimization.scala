package io.flambeau.bridge.spec

import io.flambeau.conf.{Named, NamedValues}

/*
 * How parameters change, by PyTorch's names and numbers (`torch.optim`).
 */

sealed abstract class OptimizerName(override val name: String) extends Named

object OptimizerName extends NamedValues[OptimizerName] {
  case object Sgd extends OptimizerName("sgd")
  case object Adam extends OptimizerName("adam")
  case object AdamW extends OptimizerName("adamw")
  case object RmsProp extends OptimizerName("rmsprop")
  override val all: Seq[OptimizerName] = Seq(Sgd, Adam, AdamW, RmsProp)
}

/** An optimizer; each reads its own settings. */
final case class OptimizerSpec(name: OptimizerName, lr: Double, momentum: Double, nesterov: Boolean, weightDecay: Double)

sealed abstract class ScheduleName(override val name: String) extends Named

object ScheduleName extends NamedValues[ScheduleName] {
  case object Constant extends ScheduleName("constant")
  case object Step extends ScheduleName("step")
  case object Linear extends ScheduleName("linear")
  case object Cosine extends ScheduleName("cosine")
  case object OneCycle extends ScheduleName("one_cycle")
  case object Plateau extends ScheduleName("plateau")
  override val all: Seq[ScheduleName] = Seq(Constant, Step, Linear, Cosine, OneCycle, Plateau)
}

/** How the learning rate changes. `stepEpochs` and `gamma` are for `step` and `plateau`. */
final case class ScheduleSpec(name: ScheduleName, warmupSteps: Int, stepEpochs: Int, gamma: Double)

sealed abstract class LossName(override val name: String) extends Named

object LossName extends NamedValues[LossName] {
  case object CrossEntropy extends LossName("cross_entropy")
  case object Bce extends LossName("bce")
  case object Mse extends LossName("mse")
  case object Mae extends LossName("mae")
  case object Huber extends LossName("huber")
  case object Contrastive extends LossName("contrastive")
  override val all: Seq[LossName] = Seq(CrossEntropy, Bce, Mse, Mae, Huber, Contrastive)
}

/** Numbers of the forward and backward pass of a training. */
sealed abstract class Precision(override val name: String) extends Named

object Precision extends NamedValues[Precision] {
  case object F32 extends Precision("f32")
  case object Bf16 extends Precision("bf16")
  override val all: Seq[Precision] = Seq(F32, Bf16)
}

sealed abstract class MetricName(override val name: String) extends Named

object MetricName extends NamedValues[MetricName] {
  case object Loss extends MetricName("loss")
  case object Accuracy extends MetricName("accuracy")
  case object Auc extends MetricName("auc")
  case object F1 extends MetricName("f1")
  case object Rmse extends MetricName("rmse")
  case object Mae extends MetricName("mae")
  override val all: Seq[MetricName] = Seq(Loss, Accuracy, Auc, F1, Rmse, Mae)
}

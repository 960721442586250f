package io.flambeau.bridge.spec

import org.apache.spark.sql.internal.SQLConf

import io.flambeau.conf.{Engine, FlambeauConf, InferencePrecision, Named, NamedValues}

/**
 * How a model is opened.
 *
 * @param hash
 *   of the `model.toml` that the query was planned with; another one is an error
 * @param device
 *   libtorch's name: `cpu`, `cuda:0`
 */
final case class ModelOptions(hash: Option[String], precision: InferencePrecision, minCosine: Double, engine: Engine, device: String)

/** The content of a result column. */
sealed abstract class Task(override val name: String) extends Named

object Task extends NamedValues[Task] {
  case object Featurize extends Task("featurize")
  case object Classify extends Task("classify")
  case object Infer extends Task("infer")
  case object Detect extends Task("detect")
  case object Segment extends Task("segment")
  case object Transcribe extends Task("transcribe")
  case object Rerank extends Task("rerank")
  case object Entities extends Task("entities")
  case object Answer extends Task("answer")

  /** Why a row is bad, as text. */
  case object Error extends Task("error")
  override val all: Seq[Task] = Seq(Featurize, Classify, Infer, Detect, Segment, Transcribe, Rerank, Entities, Answer, Error)
}

/**
 * One output that a session computes for every row.
 *
 * @param k
 *   maximum number of labels of `classify`
 * @param threshold
 *   `detect` drops boxes with this score or less
 * @param nullOnError
 *   the `try_` variant: NULL for a bad row instead of an error
 */
final case class OutputRequest(task: Task, k: Int, threshold: Double, nullOnError: Boolean)

/** Where a session must fail, for tests. */
sealed abstract class Fault(override val name: String) extends Named

object Fault extends NamedValues[Fault] {
  case object Panic extends Fault("panic")
  case object Torch extends Fault("torch")
  case object Allocation extends Fault("allocation")
  override val all: Seq[Fault] = Seq(Panic, Torch, Allocation)
}

/**
 * The outputs of a session.
 *
 * @param passRows
 *   maximum rows of one forward pass; None: the package's number
 */
final case class SessionSpec(outputs: Seq[OutputRequest], images: ImageLimits, passRows: Option[Int], fault: Option[Fault])

/**
 * The settings of inference, from a Spark session to its tasks.
 *
 * @param device
 *   as in `spark.flambeau.device`; each task finds its own
 */
final case class InferenceSettings(
    images: ImageLimits,
    engine: Engine,
    precision: InferencePrecision,
    minCosine: Double,
    device: String,
    passRows: Option[Int],
    fault: Option[Fault]) {

  /** How to open a model of this content on this device. */
  def model(hash: String, device: String): ModelOptions = ModelOptions(Some(hash), precision, minCosine, engine, device)

  def session(outputs: Seq[OutputRequest]): SessionSpec = SessionSpec(outputs, images, passRows, fault)
}

object InferenceSettings {

  /** Those of a session. */
  def of(conf: SQLConf): InferenceSettings = {
    // Not a setting of sessions: users with SET must not make an executor fail.
    val fault = sys.props.get(FlambeauConf.InternalFault).filter(_.nonEmpty).map(Fault.of)
    InferenceSettings(
      ImageLimits.of(conf), FlambeauConf.get(conf, FlambeauConf.Engine), FlambeauConf.get(conf, FlambeauConf.Precision),
      FlambeauConf.get(conf, FlambeauConf.MinCosine), FlambeauConf.get(conf, FlambeauConf.Device), None, fault)
  }
}

package io.flambeau.bridge

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.JsonNode

/**
 * A finished epoch. `validationLoss` and `metrics` are over the validation rows of all workers, absent where there are none;
 * losses are weighted means; `lr` is that of the epoch's last step; `samples` were trained on by all workers together. Of `seconds`
 * this worker's steps waited `waitedSeconds` for their rows.
 */
final case class EpochRow(
    epoch: Int, trainLoss: Double, validationLoss: Option[Double], metrics: Map[String, Double], lr: Double, samples: Long,
    seconds: Double, waitedSeconds: Double)

object EpochRow {
  private[bridge] def of(node: JsonNode): EpochRow = EpochRow(
    node.get("epoch").asInt, Json.double(node.get("train_loss")),
    Option(node.get("validation_loss")).filterNot(_.isNull).map(_.asDouble),
    node.get("metrics").properties.asScala.map(entry => entry.getKey -> Json.double(entry.getValue)).toMap,
    node.get("lr").asDouble, node.get("samples").asLong, node.get("seconds").asDouble, node.get("waited_seconds").asDouble)
}

/**
 * Where a trainer stands.
 *
 * @param epoch
 *   of the next step, from 0; equals `epochs` when done
 * @param step
 *   steps made in all
 * @param event
 *   why `run` returned: `running`, `epoch` (one ended), `checkpoint` (one is due), `done`, `stopped_early`
 */
final case class Progress(
    epoch: Int, epochs: Int, step: Long, stepsPerEpoch: Long, loss: Double, lr: Double, samplesPerSecond: Double, event: String,
    history: Seq[EpochRow]) {
  def finished: Boolean = event == "done" || event == "stopped_early"
}

object Progress {
  private[bridge] def of(node: JsonNode): Progress = Progress(
    node.get("epoch").asInt, node.get("epochs").asInt, node.get("step").asLong, node.get("steps_per_epoch").asLong,
    Json.double(node.get("loss")), node.get("lr").asDouble, node.get("samples_per_second").asDouble, node.get("event").asText,
    node.get("history").elements.asScala.map(EpochRow.of).toSeq)
}

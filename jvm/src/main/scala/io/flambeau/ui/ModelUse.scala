package io.flambeau.ui

import com.fasterxml.jackson.databind.annotation.JsonDeserialize
import org.apache.spark.scheduler.SparkListenerEvent

/**
 * A model in the memory of an executor. The same package is several models if it was loaded with different settings.
 *
 * @param executor
 *   Spark's id of it; `driver` in local mode
 * @param name
 *   as the user wrote it
 * @param hash
 *   of the package's content
 */
private[flambeau] final case class LoadedModel(
    executor: String, name: String, hash: String, variant: String, precision: String, engine: String, device: String, weightsBytes: Long)

/**
 * What tasks did with a model. Times are in nanoseconds.
 *
 * @param taskNs
 *   from opening the model to the end of the task, summed over tasks
 * @param busyNs
 *   wall-clock time in which at least one task of the executor had the model open
 * @param evaluateNs
 *   of calls into native code, summed over tasks; `prepareNs`, `forwardNs` and `convertNs` are its parts. They count the time of helping
 *   threads too, so their sum may be larger
 * @param peakNativeBytes
 *   the largest estimate for a batch
 */
private[flambeau] final case class ModelUsage(
    tasks: Long, rows: Long, badRows: Long, @JsonDeserialize(contentAs = classOf[java.lang.Long]) badByCause: Map[String, Long], taskNs: Long,
    busyNs: Long, loadNs: Long, evaluateNs: Long, prepareNs: Long, forwardNs: Long, convertNs: Long, peakNativeBytes: Long) {

  def +(other: ModelUsage): ModelUsage = ModelUsage(
    tasks + other.tasks, rows + other.rows, badRows + other.badRows,
    (badByCause.keySet ++ other.badByCause.keySet).map(cause => cause -> (badByCause.getOrElse(cause, 0L) + other.badByCause.getOrElse(cause, 0L))).toMap,
    taskNs + other.taskNs, busyNs + other.busyNs, loadNs + other.loadNs, evaluateNs + other.evaluateNs, prepareNs + other.prepareNs,
    forwardNs + other.forwardNs, convertNs + other.convertNs, math.max(peakNativeBytes, other.peakNativeBytes))

  /** Rows by second of wall-clock time; 0 if nothing was measured. */
  def rowsPerSecond: Double = if (busyNs > 0) rows * 1e9 / busyNs else 0.0

  /** Time of tasks outside of Flambeau: reading rows, writing them, waiting. */
  def sparkNs: Long = math.max(0, taskNs - loadNs - evaluateNs)
}

private[flambeau] object ModelUsage {
  val Zero: ModelUsage = ModelUsage(0, 0, 0, Map.empty, 0, 0, 0, 0, 0, 0, 0, 0)
}

/**
 * An executor opened a model for the first time (`usage` is zero), or a task that used one ended. The driver posts it on Spark's
 * listener bus, so it is in the event log.
 *
 * @param usage
 *   since the last such event
 * @param timeMillis
 *   since 1970, by the executor's clock
 */
private[flambeau] final case class ModelUse(model: LoadedModel, usage: ModelUsage, timeMillis: Long) extends SparkListenerEvent

package io.flambeau.ui

import scala.collection.mutable

import org.apache.spark.SparkEnv

import io.flambeau.bridge.{Counters, ModelFacts}
import io.flambeau.models.ModelRef

/** One task's use of one model. It is reported to the driver when it ends. On the task's thread. */
private[flambeau] final class ModelUseReport private (model: LoadedModel, now: () => Long) {
  private val begun = now()
  private var evaluateNs = 0L

  /** A native call took this long. */
  def evaluated(ns: Long): Unit = evaluateNs += ns

  def end(counters: Counters): Unit = {
    val busyNs = ModelUseReport.clock.end(model)
    val usage = ModelUsage(
      1, counters.rows, counters.badRows, counters.badRowsByCause, counters.loadNs + now() - begun, busyNs, counters.loadNs,
      evaluateNs, counters.prepareNs, counters.forwardNs, counters.convertNs, counters.peakNativeBytes)
    DriverReports.send(ModelUse(model, usage, System.currentTimeMillis()))
  }
}

private[flambeau] object ModelUseReport {
  private[ui] val clock = new BusyClock(() => System.nanoTime())

  /** Models that the driver knows, as long as there are not too many. */
  private val announced = new mutable.LinkedHashSet[(String, LoadedModel)]
  private val MaxAnnounced = 1000

  /** The task opened the model. If it is the first one of this process, the driver gets a message. */
  def begin(ref: ModelRef, facts: ModelFacts): ModelUseReport = {
    val env = Option(SparkEnv.get)
    val model = LoadedModel(
      env.fold("")(_.executorId), ref.name, ref.spec.hash, facts.variant, facts.precision, facts.engine, facts.device, facts.weightsBytes)
    if (isNew((env.fold("")(_.conf.get("spark.app.id", "")), model))) DriverReports.send(ModelUse(model, ModelUsage.Zero, System.currentTimeMillis()))
    clock.begin(model)
    new ModelUseReport(model, () => System.nanoTime())
  }

  private def isNew(model: (String, LoadedModel)): Boolean = announced.synchronized {
    val added = announced.add(model)
    if (announced.size > MaxAnnounced) announced -= announced.head
    added
  }
}

/** Measures how long models are used in this process, whatever the number of tasks. It knows those only that are used now. */
private[ui] final class BusyClock(now: () => Long) {
  private final class Use(var tasks: Int, var countedNs: Long)
  private val uses = mutable.HashMap.empty[LoadedModel, Use]

  /** A task begins to use it. */
  def begin(model: LoadedModel): Unit = synchronized {
    uses.getOrElseUpdate(model, new Use(0, now())).tasks += 1
  }

  /** A task ends; returns the nanoseconds in which the model was used and that were not returned before. */
  def end(model: LoadedModel): Long = synchronized {
    uses.get(model).fold(0L) { use =>
      val ns = now() - use.countedNs
      use.countedNs += ns
      use.tasks -= 1
      if (use.tasks == 0) uses -= model
      ns
    }
  }
}

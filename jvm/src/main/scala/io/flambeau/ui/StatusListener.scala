package io.flambeau.ui

import scala.collection.mutable

import org.apache.spark.SparkConf
import org.apache.spark.scheduler.{SparkListener, SparkListenerEvent}
import org.apache.spark.util.kvstore.KVStore

import io.flambeau.conf.{FlambeauConf, Setting}

/**
 * Keeps the records of the Models tab up to date, from the events of a running application or of an event log. It keeps a limited number of
 * them. Called by one thread of the listener bus.
 */
private[flambeau] final class StatusListener(conf: SparkConf, store: KVStore) extends SparkListener {
  private val models = new Recent[ModelRecord](limit(FlambeauConf.UiRetainedModels))

  private val trainings = new Recent[TrainingRecord](limit(FlambeauConf.UiRetainedTrainings))

  override def onOtherEvent(event: SparkListenerEvent): Unit = event match {
    case use: ModelUse => used(use)
    case started: TrainingStarted => trainings.put(started.id, TrainingRecord(started.id, started, Nil, 1, None, None))
    case epochs: TrainingEpochs => changed(epochs.id)(_.plus(epochs.epochs))
    case ended: TrainingEnded => changed(ended.id)(_.copy(ended = Some(ended)))
    case _ => ()
  }

  private def used(use: ModelUse): Unit = {
    val id = use.model.toString
    val before = models.get(id).fold(ModelUsage.Zero)(_.usage)
    models.put(id, ModelRecord(id, use.model, before + use.usage, use.timeMillis))
  }

  /** A training that is not known any more stays so. */
  private def changed(id: String)(change: TrainingRecord => TrainingRecord): Unit = trainings.get(id).foreach(before => trainings.put(id, change(before)))

  private def limit(setting: Setting[Long]): Int = setting.parse(conf.get(setting.key, setting.default)).toInt

  /** Records by id, in the store too; the one that changed least recently is the first to go. */
  private final class Recent[T <: AnyRef](max: Int) {
    private val kept = mutable.LinkedHashMap.empty[String, T]

    def get(id: String): Option[T] = kept.get(id)

    def put(id: String, record: T): Unit = {
      kept -= id
      kept += id -> record
      store.write(record)
      if (kept.size > max) {
        val (oldest, gone) = kept.head
        kept -= oldest
        store.delete(gone.getClass, oldest)
      }
    }
  }
}

package io.flambeau.ui

import scala.annotation.meta.getter
import scala.jdk.CollectionConverters._
import scala.reflect.{classTag, ClassTag}

import com.fasterxml.jackson.databind.annotation.JsonDeserialize
import org.apache.spark.util.kvstore.{KVIndex, KVStore}

/*
 * What the Models tab shows, as it is kept in Spark's status store: in memory while the application runs, in memory or on disk in the history
 * server. Values only; a change replaces the record.
 */

/** A model of an executor, and what was done with it. */
private[flambeau] final case class ModelRecord(@(KVIndex @getter) id: String, model: LoadedModel, usage: ModelUsage, lastUsedMillis: Long)

/** The losses of an epoch of one of a fit's trainings. */
private[flambeau] final case class LossPoint(
    run: Int, epoch: Int, train: Double, @JsonDeserialize(contentAs = classOf[java.lang.Double]) validation: Option[Double])

/**
 * A fit.
 *
 * @param points
 *   in the order in which epochs ended
 * @param every
 *   only epochs whose number (from 0) is a multiple of it have a point: 1, or more if a training is long
 * @param latest
 *   the newest epoch
 */
private[flambeau] final case class TrainingRecord(
    @(KVIndex @getter) id: String, started: TrainingStarted, points: Seq[LossPoint], every: Int, latest: Option[RunEpoch],
    ended: Option[TrainingEnded]) {

  /** With more epochs. A worker that was lost trains some of them again: these replace the earlier ones. */
  def plus(epochs: Seq[RunEpoch]): TrainingRecord = {
    val first = epochs.groupBy(_.run).map { case (run, rows) => run -> rows.map(_.row.epoch).min }
    val before = points.filter(point => first.get(point.run).forall(point.epoch < _))
    val added = epochs.filter(_.row.epoch % every == 0).map(e => LossPoint(e.run, e.row.epoch, e.row.trainLoss, e.row.validationLoss))
    copy(points = before ++ added, latest = epochs.lastOption.orElse(latest)).thinned
  }

  /** Half of the points until there are not too many; if there are too many runs, those of the newest ones. */
  private def thinned: TrainingRecord = {
    var now = this
    while (now.points.length > TrainingRecord.MaxPoints && now.points.exists(_.epoch > 0)) {
      val wider = now.every * 2
      now = now.copy(points = now.points.filter(_.epoch % wider == 0), every = wider)
    }
    now.copy(points = now.points.takeRight(TrainingRecord.MaxPoints))
  }
}

private[flambeau] object TrainingRecord {

  /** Of one fit. */
  val MaxPoints = 4000
}

private[flambeau] object StatusRecords {

  /** All records of a kind, in no order. */
  def all[T: ClassTag](store: KVStore): Seq[T] = {
    val found = store.view(classTag[T].runtimeClass.asInstanceOf[Class[T]]).closeableIterator()
    try found.asScala.toList
    finally found.close()
  }

  /** The record with this id. */
  def find[T: ClassTag](store: KVStore, id: String): Option[T] =
    try Some(store.read(classTag[T].runtimeClass.asInstanceOf[Class[T]], id))
    catch { case _: NoSuchElementException => None }
}

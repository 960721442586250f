package io.flambeau.ui

import java.util.function.{Function => JFunction}
import java.util.{Map => JMap}

import scala.xml.NodeSeq

import org.apache.spark.{SparkConf, SparkContext}
import org.apache.spark.scheduler.SparkListener
import org.apache.spark.util.kvstore.KVStore

import io.flambeau.spark.StatusTab

/** The tab "Models" of the Spark UI: what its pages hold, under Spark's own header. */
private[flambeau] object ModelsTab extends StatusTab.Content {

  /** Adds it to a running application, once. If the Spark UI is off, its events still reach the event log. */
  def show(context: SparkContext): Unit = if (DriverReports.listen(context)) StatusTab.show(context, this)

  override def prefix: String = "models"

  override def pages: JMap[String, String] = JMap.of("", "Models", "training", "Training")

  override def listener(conf: SparkConf, store: KVStore): SparkListener = new StatusListener(conf, store)

  override def isEmpty(store: KVStore): Boolean = store.count(classOf[ModelRecord]) == 0 && store.count(classOf[TrainingRecord]) == 0

  override def page(name: String, store: KVStore, base: String, parameter: JFunction[String, String]): NodeSeq = NodeSeq.fromSeq(name match {
    case "training" => TrainingPages.one(store, Option(parameter.apply("id")))
    case _ => <h4>On executors</h4> ++ ModelsTable(store) ++ <h4>Trainings</h4> ++ TrainingPages.list(store, base)
  })
}

package io.flambeau.ui

import java.net.URLEncoder
import java.nio.charset.StandardCharsets.UTF_8
import java.util.Locale

import scala.xml.{Node, NodeSeq}

import org.apache.spark.util.kvstore.KVStore

import io.flambeau.bridge.EpochRow
import io.flambeau.ui.Tables.{cell, table}

/** The table of trainings on the Models tab, and the page of one of them. */
private[ui] object TrainingPages {

  /** The newest first. `base` is where the tab's pages are. */
  def list(store: KVStore, base: String): Seq[Node] = {
    val records = StatusRecords.all[TrainingRecord](store).sortBy(-_.started.timeMillis)
    if (records.isEmpty) <p id="flambeau-no-trainings">Nothing was trained yet.</p>
    else table("flambeau-trainings", headings, records.map(row(_, base)))
  }

  private val headings = Seq(
    "Training" -> "The estimator",
    "State" -> "",
    "Started" -> "",
    "Took" -> "",
    "Workers" -> "",
    "Trainings" -> "Over the same rows: a search has several",
    "Epoch" -> "The newest, and the most that there may be",
    "Training loss" -> "Of the newest epoch",
    "Validation loss" -> "Of the newest epoch",
    "Samples/s" -> "Of the newest epoch")

  private def row(record: TrainingRecord, base: String): Node = {
    val started = record.started
    val row = record.latest.map(_.row)
    <tr>
      <td><a href={s"$base/training/?id=${URLEncoder.encode(record.id, UTF_8)}"}>{started.owner}</a></td>
      <td>{state(record)}</td>
      {cell(started.timeMillis, Units.time(started.timeMillis))}
      {record.ended.fold[Node](<td/>)(end => cell(end.timeMillis - started.timeMillis, Units.seconds((end.timeMillis - started.timeMillis) / 1e3)))}
      <td>{if (started.workers == 0) "" else Units.count(started.workers)}</td>
      <td>{if (started.runs == 0) "one for each group" else Units.count(started.runs)}</td>
      <td>{row.fold("")(r => epochOf(record, r))}</td>
      <td>{row.fold("")(r => loss(r.trainLoss))}</td>
      <td>{row.flatMap(_.validationLoss).fold("")(loss)}</td>
      <td>{row.filter(_.seconds > 0).fold("")(r => Units.rate(r.samples / r.seconds))}</td>
    </tr>
  }

  private def epochOf(record: TrainingRecord, row: EpochRow): String = s"${Units.count(row.epoch + 1L)} of ${Units.count(record.started.epochs)}"

  private def state(record: TrainingRecord): String = record.ended match {
    case None => "running"
    case Some(TrainingEnded(_, Some(failure), _)) => s"failed: $failure"
    case Some(_) => "finished"
  }

  /** The page of a training. */
  def one(store: KVStore, id: Option[String]): Seq[Node] = id.flatMap(StatusRecords.find[TrainingRecord](store, _)) match {
    case None => <p id="flambeau-unknown-training">There is no such training, or no more: see spark.flambeau.ui.retainedTrainings.</p>
    case Some(record) =>
      NodeSeq.fromSeq(
        reload(record) ++ facts(record) ++
          (if (record.points.isEmpty) <p>{if (record.started.runs == 0) "Trainings of groups report no epochs." else "No epoch has ended yet."}</p>
           else LossCurve(record) ++ epochs(record)))
  }

  /** Without a script, which servers may forbid. */
  private def reload(record: TrainingRecord): NodeSeq =
    if (record.ended.isDefined) NodeSeq.Empty
    else <meta http-equiv="refresh" content="5"/><p class="text-muted">This page reloads every 5 seconds while the training runs.</p>

  private def facts(record: TrainingRecord): NodeSeq = {
    val latest = record.latest.map(_.row)
    val named = Seq(
      "State" -> state(record), "Started" -> Units.time(record.started.timeMillis)) ++
      latest.toSeq.flatMap { row =>
        Seq("Epoch" -> epochOf(record, row)) ++
          row.metrics.toSeq.sorted.map { case (name, value) => s"Validation $name" -> loss(value) } ++
          Seq("Learning rate" -> loss(row.lr), "Steps waited for rows" -> s"${Units.seconds(row.waitedSeconds)} of ${Units.seconds(row.seconds)}")
      }
    <ul id="flambeau-training" class="list-unstyled">{named.map { case (name, value) => <li><strong>{name}: </strong>{value}</li> }}</ul>
  }

  private def epochs(record: TrainingRecord): Node = {
    val rows = record.points.takeRight(MaxRows).reverse.map { p =>
      <tr>{cell(p.run + 1L)}{cell(p.epoch + 1L)}<td>{loss(p.train)}</td><td>{p.validation.fold("")(loss)}</td></tr>
    }
    table("flambeau-epochs", Seq("Training" -> "", "Epoch" -> "", "Training loss" -> "", "Validation loss" -> ""), rows)
  }

  private val MaxRows = 200

  private def loss(x: Double): String = "%.5g".formatLocal(Locale.US, x)
}

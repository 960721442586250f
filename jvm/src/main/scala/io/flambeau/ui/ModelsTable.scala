package io.flambeau.ui

import scala.xml.Node

import org.apache.spark.util.kvstore.KVStore

import io.flambeau.ui.Tables.{cell, table}

/** The tables of models on the Models tab. */
private[ui] object ModelsTable {

  def apply(store: KVStore): Seq[Node] = {
    val records = StatusRecords.all[ModelRecord](store).sortBy(record => (record.model.name, record.model.executor, record.id))
    if (records.isEmpty) <p id="flambeau-no-models">No task has used a model yet.</p>
    else table("flambeau-models", headings, records.map(row)) ++ badRows(records)
  }

  private val headings = Seq(
    "Model" -> "As it was written in the query, and the beginning of its hash",
    "Executor" -> "",
    "Variant" -> "The file of the package that was loaded, and its precision",
    "Engine" -> "See spark.flambeau.engine",
    "Device" -> "",
    "Weights" -> "In memory, once for each executor",
    "Peak (estimate)" -> "The largest estimate of native memory for the batch of a task, besides weights",
    "Tasks" -> "That have ended",
    "Rows" -> "",
    "Rows/s" -> "By the time in which at least one task of the executor used the model",
    "Bad rows" -> "",
    "Load" -> "Time of tasks that opened the model, or waited for it",
    "Spark" -> "Time of tasks outside of Flambeau: reading rows, writing results, waiting",
    "Prepare" -> "Decoding, resizing, tokenizing, copying into tensors",
    "Forward" -> "Forward passes, summed over the threads that ran them",
    "Convert" -> "From tensors to result columns",
    "Last used" -> "")

  private def row(record: ModelRecord): Node = {
    val ModelRecord(_, model, usage, millis) = record
    <tr>
      <td>{model.name} <small class="text-muted">{model.hash.take(8)}</small></td>
      <td>{model.executor}</td>
      <td>{model.variant} <small class="text-muted">{model.precision}</small></td>
      <td>{model.engine}</td>
      <td>{model.device}</td>
      {cell(model.weightsBytes, Units.bytes(model.weightsBytes))}
      {cell(usage.peakNativeBytes, Units.bytes(usage.peakNativeBytes))}
      {cell(usage.tasks)}
      {cell(usage.rows)}
      {cell(usage.rowsPerSecond.toLong, Units.rate(usage.rowsPerSecond))}
      {cell(usage.badRows)}
      {Seq(usage.loadNs, usage.sparkNs, usage.prepareNs, usage.forwardNs, usage.convertNs).map(ns => cell(ns, Units.nanoseconds(ns)))}
      {cell(millis, Units.time(millis))}
    </tr>
  }

  /** Bad rows by cause, of all executors together. */
  private def badRows(records: Seq[ModelRecord]): Seq[Node] = {
    val counts = records.flatMap(r => r.usage.badByCause.map { case (cause, rows) => (r.model.name, cause) -> rows })
    if (counts.isEmpty) Nil
    else {
      val rows = counts.groupBy(_._1).toSeq.map { case ((model, cause), each) => (model, cause, each.map(_._2).sum) }.sortBy(r => (r._1, -r._3))
      <h4>Bad rows by cause</h4> ++
        table("flambeau-bad-rows", Seq("Model" -> "", "Cause" -> "", "Rows" -> ""),
          rows.map { case (model, cause, count) =>
            <tr><td>{model}</td><td>{cause.replace('_', ' ')}</td>{cell(count)}</tr>
          })
    }
  }
}

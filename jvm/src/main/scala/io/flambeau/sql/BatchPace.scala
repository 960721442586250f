package io.flambeau.sql

import java.util.concurrent.ConcurrentHashMap

import io.flambeau.conf.InferencePrecision
import io.flambeau.models.{InputKind, ModelRef}

/**
 * How many rows a batch of one model should have, by how long its batches took: few of a heavy model, so that its first results
 * come early and a killed task ends soon; as many as allowed of a light one, whose calls would cost more than its rows.
 *
 * Process-wide: what one task learns holds for the others and for the next query. A batch is the limit or a half, a quarter, … of
 * it, so that batches of like time are of equal size. From any task's thread.
 *
 * @param sorts
 *   whether rows are sorted by length within a batch (texts, sounds): of few rows much would be padding. Of 18 tokens on
 *   average, 9 % of what a pass computes is padding with 1,024 texts a batch, 25 % with 256, 37 % with 128. Then only the first batch is small;
 *   the native side stops between passes in any case
 */
private[sql] final class BatchPace(sorts: Boolean) {
  private val recent = Array.fill(BatchPace.Remembered)(Long.MaxValue)
  private var batches = 0

  /**
   * @param limit
   *   rows of a batch at the most
   */
  def rows(limit: Int): Int = synchronized {
    if (batches == 0) math.min(limit, BatchPace.FirstRows)
    else if (sorts) limit
    else {
      // A machine that stalls now and then makes no batch small, and neither does a first one, in which the program is compiled.
      val picosOfRow = math.max(1, recent.min)
      val within = BatchPace.AimPicos / picosOfRow
      Iterator.iterate(limit)(rows => (rows + 1) / 2).find(rows => rows <= within || rows <= BatchPace.FewRows).get
    }
  }

  /** Takes note of a batch. */
  def measured(rows: Int, nanos: Long): Unit = synchronized {
    recent(batches % recent.length) = nanos * 1000 / math.max(1, rows)
    batches += 1
  }
}

private[sql] object BatchPace {

  /** Half a second: what a batch may take. */
  private val AimPicos = 500L * 1000 * 1000 * 1000

  /** Rows of the first batch of a model that was not measured yet. */
  private val FirstRows = 8

  /** No batch becomes smaller for its time: the native side stops between passes, which need some rows to be full. */
  private val FewRows = 8

  private val Sorted = Set[InputKind](InputKind.Text, InputKind.Audio)

  /** The last batches; the fastest counts. */
  private val Remembered = 4

  private val all = new ConcurrentHashMap[(String, InferencePrecision), BatchPace]

  /** That of a model at one precision. */
  def of(model: ModelRef, precision: InferencePrecision): BatchPace =
    all.computeIfAbsent((model.spec.hash, precision), _ => new BatchPace(model.spec.inputs.exists(input => Sorted(input.kind))))
}

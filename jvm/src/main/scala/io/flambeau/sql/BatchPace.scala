package io.flambeau.sql

import java.util.concurrent.ConcurrentHashMap

import io.flambeau.conf.InferencePrecision
import io.flambeau.models.{InputKind, ModelRef}

/**
 * How many rows a batch of one model should have, from the time that its batches took. A slow model gets few rows, so that its
 * first results come early and a killed task ends soon. A fast one gets as many as allowed, since its calls cost more than its
 * rows.
 *
 * The measurements are shared by all tasks of the process and by later queries. A batch is the limit or a half, a quarter, … of
 * it, so that batches of similar time have equal size. Safe to use from any thread.
 *
 * @param sorts
 *   whether rows are sorted by length within a batch (texts, sounds): small batches would need much padding. With texts of 18
 *   tokens on average, 9 % of the computation is padding at 1,024 texts per batch, 25 % at 256, and 37 % at 128. Then only the
 *   first batch is small; the native side can stop between passes in any case
 */
private[sql] final class BatchPace(sorts: Boolean) {
  private val recent = Array.fill(BatchPace.Remembered)(Long.MaxValue)
  private var batches = 0

  /**
   * @param limit
   *   maximum rows of a batch
   */
  def rows(limit: Int): Int = synchronized {
    if (batches == 0) math.min(limit, BatchPace.FirstRows)
    else if (sorts) limit
    else {
      // A machine that stalls now and then does not make batches small. Neither does the first batch, in which the program is compiled.
      val picosOfRow = math.max(1, recent.min)
      val within = BatchPace.AimPicos / picosOfRow
      Iterator.iterate(limit)(rows => (rows + 1) / 2).find(rows => rows <= within || rows <= BatchPace.FewRows).get
    }
  }

  /** Records a batch. */
  def measured(rows: Int, nanos: Long): Unit = synchronized {
    recent(batches % recent.length) = nanos * 1000 / math.max(1, rows)
    batches += 1
  }
}

private[sql] object BatchPace {

  /** Half a second: how long a batch may take. */
  private val AimPicos = 500L * 1000 * 1000 * 1000

  /** Rows of the first batch of a model that was not measured yet. */
  private val FirstRows = 8

  /** Slow batches do not become smaller: the native side can stop between passes, and passes need enough rows to be full. */
  private val FewRows = 8

  private val Sorted = Set[InputKind](InputKind.Text, InputKind.Audio)

  /** The last batches; the fastest counts. */
  private val Remembered = 4

  private val all = new ConcurrentHashMap[(String, InferencePrecision), BatchPace]

  /** The pace of a model at one precision. */
  def of(model: ModelRef, precision: InferencePrecision): BatchPace =
    all.computeIfAbsent((model.spec.hash, precision), _ => new BatchPace(model.spec.inputs.exists(input => Sorted(input.kind))))
}

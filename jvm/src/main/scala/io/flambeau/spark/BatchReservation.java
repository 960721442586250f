package io.flambeau.spark;

import org.apache.spark.TaskContext;
import org.apache.spark.memory.MemoryConsumer;
import org.apache.spark.memory.MemoryMode;
import org.apache.spark.memory.TaskMemoryManager;

/**
 * The part of a task's memory that one evaluation uses: Arrow vectors, rows that wait, native buffers. Used by the task thread.
 *
 * <p>It only grows until it is released, and it cannot spill. Other consumers spill for it, never the reverse, so it requests
 * little and must accept a refusal. Java because {@code TaskContext}'s memory manager is open to Spark's own Scala packages only.
 */
public final class BatchReservation extends MemoryConsumer {

  /** The step in which it grows, if that much is free: a batch grows row by row, and all tasks share Spark's memory manager. */
  private static final long STEP_BYTES = 64 * 1024;

  private BatchReservation(TaskMemoryManager manager) {
    super(manager, manager.pageSizeBytes(), MemoryMode.ON_HEAP);
  }

  public static BatchReservation of(TaskContext task) {
    return new BatchReservation(task.taskMemoryManager());
  }

  /** Makes the reservation at least {@code totalBytes}; false, and no change, if Spark does not grant it. */
  public boolean ensure(long totalBytes) {
    long missing = totalBytes - getUsed();
    if (missing <= 0) {
      return true;
    }
    long granted = acquireMemory(Math.max(missing, STEP_BYTES));
    if (granted < missing) {
      freeMemory(granted);
      return false;
    }
    return true;
  }

  public void release() {
    freeMemory(getUsed());
  }

  @Override
  public long spill(long size, MemoryConsumer trigger) {
    return 0L;
  }
}

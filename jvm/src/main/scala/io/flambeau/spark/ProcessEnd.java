package io.flambeau.spark;

import org.apache.spark.util.ShutdownHookManager;

/** The end of this process (driver or executor), as Spark orders it. */
public final class ProcessEnd {
  private ProcessEnd() {}

  /** After Spark's own hooks: contexts are stopped (50), temporary folders are removed (25). */
  private static final int LAST = 10;

  /**
   * Runs `action` when the process ends and Spark has stopped.
   *
   * @throws IllegalStateException if the process is already ending
   */
  public static void afterSpark(Runnable action) {
    ShutdownHookManager.addShutdownHook(LAST, () -> {
      action.run();
      return scala.runtime.BoxedUnit.UNIT;
    });
  }
}

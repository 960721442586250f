package io.flambeau.bridge;

import org.apache.spark.TaskContext;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * Where the native side's log messages arrive: called from native code on threads that belong to the JVM. The logger is
 * {@code io.flambeau.native.<target>}; a message of a running task begins with its stage and partition.
 */
final class NativeLog {
  private NativeLog() {}

  /** @param level 1 error, 2 warn, 3 info, 4 debug, 5 trace */
  static void log(int level, String target, String message) {
    Logger logger = LoggerFactory.getLogger("io.flambeau.native." + target.replace("::", "."));
    TaskContext task = TaskContext.get();
    String text = task == null ? message
        : "[stage " + task.stageId() + "." + task.stageAttemptNumber() + " partition " + task.partitionId() + "] " + message;
    switch (level) {
      case 1 -> logger.error(text);
      case 2 -> logger.warn(text);
      case 3 -> logger.info(text);
      case 4 -> logger.debug(text);
      default -> logger.trace(text);
    }
  }
}

package io.flambeau.sql;

import java.util.Properties;
import org.apache.spark.SparkEnv;
import org.apache.spark.TaskContext;
import org.apache.spark.TaskContextImpl;
import org.apache.spark.executor.TaskMetrics;
import org.apache.spark.memory.TaskMemoryManager;
import org.apache.spark.memory.UnifiedMemoryManager;
import scala.Function0;

/**
 * A task on the caller's thread with its own instance of Spark's memory manager, so that other tasks, caches and broadcasts do
 * not affect it. Java because these classes are open to Spark's own Scala only.
 */
final class SmallTask {

  private SmallTask() {}

  /** The result of {@code body} as the only task of an executor with {@code memoryBytes} for execution. */
  static <T> T run(long memoryBytes, Function0<T> body) {
    SparkEnv env = SparkEnv.get();
    UnifiedMemoryManager memory = new UnifiedMemoryManager(env.conf().clone(), memoryBytes, 0L, 1);
    TaskContextImpl task = new TaskContextImpl(
        0, 0, 0, 0L, 0, 1, new TaskMemoryManager(memory, 0L), new Properties(), env.metricsSystem(), new TaskMetrics(), 1,
        scala.collection.immutable.Map$.MODULE$.empty());
    try {
      return TaskContext.withTaskContext(task, body);
    } finally {
      task.markTaskCompleted(scala.Option.empty());
    }
  }
}

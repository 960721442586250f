package io.flambeau.spark;

import org.apache.spark.SparkContext;
import org.apache.spark.SparkEnv;
import org.apache.spark.TaskContext;
import org.apache.spark.resource.ResourceProfile;
import org.apache.spark.scheduler.SparkListenerEvent;
import org.apache.spark.util.Utils;

/** Calls into Spark's non-public interface, for tasks and training. Java because these are open to Spark's own Scala packages only. */
public final class SparkAccess {
  private SparkAccess() {}

  /** Tasks of {@code spark.task.cpus} that the executors registered now can run at the same time. */
  public static int concurrentTasks(SparkContext context) {
    ResourceProfile profile = context.resourceProfileManager().defaultResourceProfile();
    return context.maxNumConcurrentTasks(profile);
  }

  /** Whether dynamic allocation is on; never in local mode. */
  public static boolean isDynamicAllocationEnabled(SparkContext context) {
    return Utils.isDynamicAllocationEnabled(context.conf());
  }

  /** Puts an event on the driver's listener bus, from where it gets into the event log. */
  public static void post(SparkContext context, SparkListenerEvent event) {
    context.listenerBus().post(event);
  }

  /** Ends the task with Spark's own exception if it was killed. */
  public static void stopIfKilled(TaskContext task) {
    task.killTaskIfInterrupted();
  }

  /** A folder of this process on Spark's local disks (spark.local.dir, or the worker's own). */
  public static String localDirectory() {
    return Utils.getLocalDir(SparkEnv.get().conf());
  }
}

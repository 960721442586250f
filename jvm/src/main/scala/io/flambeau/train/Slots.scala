package io.flambeau.train

import org.apache.spark.{SparkConf, SparkContext}
import org.apache.spark.internal.Logging

import io.flambeau.FlambeauAnalysisException
import io.flambeau.spark.SparkAccess

/**
 * Whether all workers of a job can run at the same time, as a barrier stage needs. Checked before the job: Spark itself fails
 * with another exception under dynamic allocation, and retries for ten minutes if there are too few executors. Driver only.
 */
private[train] object Slots extends Logging {
  private val SettledNanos = 3000000000L
  private val PauseMillis = 100L
  private val NanosPerMilli = 1000000L

  /** Fails if they cannot. Waits for executors that were requested or are still starting. */
  def require(context: SparkContext, job: JobSpec): Unit = {
    if (SparkAccess.isDynamicAllocationEnabled(context)) {
      refuse(job,
        "several workers make one barrier stage, which Spark does not run with dynamic allocation (spark.dynamicAllocation.enabled is " +
          "true, the default on EMR and Dataproc). Set numWorkers to 1, or start the application with " +
          s"spark.dynamicAllocation.enabled=false and enough spark.executor.instances for ${job.workers} tasks at the same time")
    }
    val slots = await(context, job)
    if (slots < job.workers) {
      refuse(job,
        s"the cluster runs $slots tasks at the same time: lower numWorkers, or give the application more cores (master local[n], " +
          "spark.executor.instances, spark.executor.cores, spark.cores.max; one worker takes spark.task.cpus cores)")
    }
  }

  private def refuse(job: JobSpec, why: String): Nothing =
    throw new FlambeauAnalysisException("FLAMBEAU_BAD_ARGUMENT", s"${job.owner}: numWorkers is ${job.workers}, but $why")

  /**
   * The slots once there are enough, or no more will come: at once in local mode; `peerTimeout` after the start if the
   * application requested enough executors; otherwise when none has registered for some seconds.
   */
  private def await(context: SparkContext, job: JobSpec): Int = {
    val started = System.nanoTime()
    val waitNanos = if (promised(context.getConf) >= job.workers) job.timeoutMillis * NanosPerMilli else SettledNanos
    var slots = SparkAccess.concurrentTasks(context)
    var since = started
    if (slots < job.workers && !context.isLocal) logInfo(s"${job.owner}: ${job.workers} workers wait for executors; there is room for $slots now")
    while (slots < job.workers && !context.isLocal && System.nanoTime() - since < waitNanos) {
      Thread.sleep(PauseMillis)
      val now = SparkAccess.concurrentTasks(context)
      if (now != slots) {
        slots = now
        since = System.nanoTime()
      }
    }
    slots
  }

  /** Number of parallel tasks once all requested executors are there; 0 if the application did not request a number. */
  private def promised(conf: SparkConf): Int = {
    val perTask = conf.getInt("spark.task.cpus", 1)
    val ofInstances = conf.getInt("spark.executor.instances", 0) * (conf.getInt("spark.executor.cores", 1) / perTask)
    val ofCores = conf.getInt("spark.cores.max", 0) / perTask
    math.max(ofInstances, ofCores)
  }
}

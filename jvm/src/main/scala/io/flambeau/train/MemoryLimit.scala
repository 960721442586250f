package io.flambeau.train

import org.apache.spark.{SparkConf, SparkEnv}

/** The total memory of an executor's container (heap included), if the cluster kills containers that use more. */
private[train] object MemoryLimit {
  private val MinimumOverheadMiB = 384L

  /** Of this process, in bytes; None if there is no limit besides the machine's. */
  def ofExecutor(): Option[Long] = Option(SparkEnv.get).map(_.conf).flatMap(of)

  def of(conf: SparkConf): Option[Long] =
    if (!Seq("yarn", "k8s").exists(conf.get("spark.master", "").startsWith)) None
    else {
      val heap = conf.getSizeAsMb("spark.executor.memory", "1g")
      val factor = conf.getDouble("spark.executor.memoryOverheadFactor", 0.1)
      val overhead = if (conf.contains("spark.executor.memoryOverhead")) conf.getSizeAsMb("spark.executor.memoryOverhead", "0")
      else math.max((heap * factor).toLong, MinimumOverheadMiB)
      val offHeap = if (conf.getBoolean("spark.memory.offHeap.enabled", defaultValue = false)) conf.getSizeAsBytes("spark.memory.offHeap.size", "0") else 0L
      Some(((heap + overhead) << 20) + offHeap)
    }
}

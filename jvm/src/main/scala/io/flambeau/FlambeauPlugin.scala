package io.flambeau

import java.util.{Map => JMap}

import org.apache.spark.api.plugin.{DriverPlugin, ExecutorPlugin, PluginContext, SparkPlugin}

import io.flambeau.models.LoadAhead

/**
 * `spark.plugins=io.flambeau.FlambeauPlugin` has executors load libtorch as they start rather than with their first task of ours.
 * It does nothing else.
 */
final class FlambeauPlugin extends SparkPlugin {
  override def driverPlugin(): DriverPlugin = null // scalastyle:ignore null: Spark's way to say that there is none

  override def executorPlugin(): ExecutorPlugin = new ExecutorPlugin {
    override def init(context: PluginContext, extra: JMap[String, String]): Unit = LoadAhead.library()
  }
}

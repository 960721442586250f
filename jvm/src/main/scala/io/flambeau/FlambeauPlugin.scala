package io.flambeau

import java.util.{Map => JMap}

import org.apache.spark.api.plugin.{DriverPlugin, ExecutorPlugin, PluginContext, SparkPlugin}

import io.flambeau.models.LoadAhead

/**
 * `spark.plugins=io.flambeau.FlambeauPlugin` makes executors load libtorch when they start, not with their first Flambeau task.
 * It does nothing else.
 */
final class FlambeauPlugin extends SparkPlugin {
  override def driverPlugin(): DriverPlugin = null // scalastyle:ignore null: Spark expects null if there is no driver plugin

  override def executorPlugin(): ExecutorPlugin = new ExecutorPlugin {
    override def init(context: PluginContext, extra: JMap[String, String]): Unit = LoadAhead.library()
  }
}

package io.flambeau.ml

import org.apache.hadoop.fs.Path
import org.apache.spark.ml.param.Params
import org.apache.spark.ml.util.{MLReader, MLWritable}
import org.apache.spark.sql.SparkSession

import io.flambeau.bridge.Json

/**
 * Stages inside of a saved stage: each in a folder of its name below the outer one's, as in `CrossValidator`. Spark's own code
 * for it is private, so this reads the class from a stage's metadata. Driver only, any thread.
 */
private[ml] object SavedStages {

  /** Fails unless all can be saved: to be called before anything is written. */
  def check(uid: String, stages: Seq[(String, Params)]): Unit = stages.foreach {
    case (_, _: MLWritable) =>
    case (name, stage) => SearchSpace.fail(s"$uid cannot be saved: its $name ${stage.uid} has no writer (MLWritable)")
  }

  def save(stages: Seq[(String, Params)], path: String, session: SparkSession): Unit = stages.foreach {
    case (name, stage: MLWritable) => stage.write.session(session).save(new Path(path, name).toString)
    case (name, stage) => SearchSpace.fail(s"$name ${stage.uid} has no writer (MLWritable)")
  }

  /** The stage of this name, if the saved one has it. */
  def load[T](path: String, name: String, session: SparkSession): Option[T] = {
    val folder = new Path(path, name)
    val there = folder.getFileSystem(session.sparkContext.hadoopConfiguration).exists(folder)
    if (!there) None
    else {
      val metadata = Json.read(session.read.text(new Path(folder, "metadata").toString).head().getString(0))
      val stage = Class.forName(metadata.get("class").asText, true, Thread.currentThread.getContextClassLoader)
      Some(stage.getMethod("read").invoke(null).asInstanceOf[MLReader[T]].session(session).load(folder.toString))
    }
  }
}

package io.flambeau.tools

import java.net.InetAddress
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path, Paths}

import scala.annotation.tailrec
import scala.util.Using
import scala.util.control.NonFatal

import org.apache.spark.{SparkContext, SparkEnv}
import org.apache.spark.sql.catalyst.InternalRow
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types.{BinaryType, StructField, StructType}

import io.flambeau.FlambeauException
import io.flambeau.bridge.spec.{InferenceSettings, OutputRequest, Task}
import io.flambeau.bridge.{Json, NativeLibrary}
import io.flambeau.files.LocalCache
import io.flambeau.models.{ModelRef, ModelStore}
import io.flambeau.spark.{ArrowAccess, SparkAccess}

/** Examines the processes of an application, for `flambeau.doctor`: one forward pass of an image model on every executor. */
object Doctor {

  private val StepMs = 100L
  private val SettledNs = 5000000000L

  /**
   * One executor.
   *
   * @param folder
   *   where libraries and models are unpacked
   * @param native
   *   versions and threads of the native side, as JSON
   * @param engine
   *   what ran the model's program
   * @param loadMs
   *   time for loading the model, which is 0 if the process had it
   * @param problem
   *   why the pass failed; then the fields that it would give are None
   */
  final case class Executor(
      id: String,
      host: String,
      java: String,
      platform: String,
      processor: String,
      cores: Int,
      folder: String,
      freeBytes: Long,
      native: Option[String],
      engine: Option[String],
      loadMs: Option[Double],
      passMs: Option[Double],
      problem: Option[String])

  /**
   * All executors that run tasks now, as JSON.
   *
   * @param model
   *   a model of one image
   * @param image
   *   the bytes of a picture
   * @throws FlambeauAnalysisException
   *   there is no such model
   */
  def examine(context: SparkContext, model: String, image: Array[Byte]): String = {
    val conf = SQLConf.get
    val (ref, settings) = (ModelStore.resolve(model, conf), InferenceSettings.of(conf))
    val slots = math.max(settledSlots(context), 1)
    val found = context.parallelize(0 until slots, slots).map(_ => here(ref, settings, image)).collect()
    // Of several tasks of one executor, the one that loaded the model.
    Json.write(found.groupBy(_.id).map { case (_, same) => same.maxBy(_.loadMs) }.toSeq.sortBy(_.id))
  }

  /** Tasks that run at the same time, after no executor has joined for a while: executors start one after another. */
  private def settledSlots(context: SparkContext): Int = {
    @tailrec def settled(seen: Int, since: Long): Int = {
      Thread.sleep(StepMs)
      val (found, now) = (SparkAccess.concurrentTasks(context), System.nanoTime())
      if (found != seen) settled(found, now)
      else if (now - since >= SettledNs) found
      else settled(seen, since)
    }
    if (context.isLocal) SparkAccess.concurrentTasks(context)
    else {
      // Waits for the first one.
      context.parallelize(Seq(0), 1).count()
      settled(0, System.nanoTime())
    }
  }

  private def here(ref: ModelRef, settings: InferenceSettings, image: Array[Byte]): Executor = {
    val folder = LocalCache.baseDirectory()
    val bare = Executor(
      SparkEnv.get.executorId, InetAddress.getLocalHost.getHostName, s"${sys.props("java.version")} in ${sys.props("java.home")}",
      s"${sys.props("os.name")} ${sys.props("os.arch")}", processor(), Runtime.getRuntime.availableProcessors, folder.toString, freeBytes(folder),
      None, None, None, None, None)
    try {
      val native = NativeLibrary.ensureLoaded()
      pass(ref, settings, image, bare.copy(native = Some(native)))
    } catch {
      case cause: Throwable if NonFatal(cause) || cause.isInstanceOf[LinkageError] => bare.copy(problem = Some(FlambeauException.describe(cause)))
    }
  }

  /** Two passes; the second is timed. */
  private def pass(ref: ModelRef, settings: InferenceSettings, image: Array[Byte], executor: Executor): Executor = {
    val schema = StructType(Seq(StructField(ref.spec.inputs.head.name, BinaryType)))
    val outputs = Seq(OutputRequest(Task.Featurize, 0, 0, nullOnError = false))
    Using.resource(ArrowAccess.rootAllocator().newChildAllocator("flambeau doctor", 0, Long.MaxValue)) { allocator =>
      OneRow(ref, schema, InternalRow(image), outputs, settings, allocator) { (session, root) =>
        session.evaluate(root).close()
        val started = System.nanoTime()
        session.evaluate(root).close()
        val (loadMs, passMs) = (session.counters.loadNs / 1e6, (System.nanoTime() - started) / 1e6)
        executor.copy(engine = Some(session.facts.engine), loadMs = Some(loadMs), passMs = Some(passMs))
      }
    }
  }

  private def processor(): String = {
    val info = Paths.get("/proc/cpuinfo")
    val lines = if (Files.isReadable(info)) new String(Files.readAllBytes(info), UTF_8).linesIterator else Iterator.empty
    lines.find(_.startsWith("model name")).map(_.split(":", 2).last.trim).getOrElse("unknown")
  }

  private def freeBytes(folder: Path): Long = {
    val existing = Iterator.iterate(folder)(_.getParent).find(Files.exists(_)).getOrElse(Paths.get("/"))
    Files.getFileStore(existing).getUsableSpace
  }
}

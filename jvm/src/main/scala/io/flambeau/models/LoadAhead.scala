package io.flambeau.models

import java.util.concurrent.atomic.AtomicBoolean

import scala.util.Try
import scala.util.control.NonFatal

import org.apache.arrow.vector.VectorSchemaRoot
import org.apache.spark.SparkEnv
import org.apache.spark.internal.Logging
import org.apache.spark.sql.types.{BinaryType, StructType}

import io.flambeau.bridge.{ModelSession, NativeLibrary}
import io.flambeau.bridge.spec.InferenceSettings
import io.flambeau.spark.ArrowAccess

/**
 * Loads in the background what a process will need for its first batch. Libtorch and Flambeau's library are loaded as soon as a
 * session, an executor or a Flambeau task begins ([[library]]). The first model is loaded as soon as its query is planned, if the
 * driver runs the tasks itself ([[model]]). Each happens at most once per process: later loads would not save time.
 *
 * Everything runs on a daemon thread and is stored where the first task would store it. So a task that starts meanwhile waits for
 * this load and does not start its own. Failures are ignored here: the task that needs the model meets them again and reports
 * them with all details. A process that ends meanwhile waits for the load: libtorch must not be unloaded while it starts.
 */
private[flambeau] final class LoadAhead extends Logging {

  private val libraryBegun, modelBegun = new AtomicBoolean

  /** Libtorch, our own library and Arrow's classes. */
  def library(): Unit = if (libraryBegun.compareAndSet(false, true)) inBackground("the native library") {
    NativeLibrary.ensureLoaded()
    VectorSchemaRoot.create(ArrowAccess.toArrowSchema(new StructType().add("value", BinaryType)), ArrowAccess.rootAllocator()).close()
  }

  /** The weights of a model. They stay in the process like those of an ended query. `settings` are those of the later tasks. */
  def model(ref: ModelRef, settings: InferenceSettings): Unit =
    if (runsTasks && modelBegun.compareAndSet(false, true)) inBackground(s"model '${ref.name}'") {
      ModelSession.load(ref.spec.hash, ModelStore.localDirectory(ref), settings)
    }

  private def runsTasks: Boolean =
    Option(SparkEnv.get).flatMap(_.conf.getOption("spark.master")).exists(master => master == "local" || master.startsWith("local["))

  private def inBackground(what: String)(load: => Unit): Unit = {
    logInfo(s"$what is loaded in the background")
    val thread = new Thread(
      () =>
        try load
        catch {
          case cause: Throwable if NonFatal(cause) || cause.isInstanceOf[LinkageError] || cause.isInstanceOf[InterruptedException] =>
            logDebug(s"$what could not be loaded ahead", cause)
        },
      "flambeau-load-ahead")
    thread.setDaemon(true)
    // Jars that came with --jars are known to the caller's loader.
    thread.setContextClassLoader(Thread.currentThread.getContextClassLoader)
    // Fails if the process is already ending; then the thread is not started.
    Try(Runtime.getRuntime.addShutdownHook(new Thread(() => ended(thread), "flambeau-load-ahead-end"))).foreach(_ => thread.start())
  }

  /** Interrupts waiting and copying. Running native code continues to its end. */
  private def ended(thread: Thread): Unit = {
    thread.interrupt()
    thread.join()
  }
}

/** The process's own. */
private[flambeau] object LoadAhead {
  private val ofProcess = new LoadAhead

  /** See [[LoadAhead.library]]. */
  def library(): Unit = ofProcess.library()

  /** See [[LoadAhead.model]]. */
  def model(ref: ModelRef, settings: => InferenceSettings): Unit = ofProcess.model(ref, settings)
}

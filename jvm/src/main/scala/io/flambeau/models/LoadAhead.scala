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
 * Loads what a process will need for its first batch while Spark is still busy with other things: libtorch and our library as soon
 * as a session, an executor or a task of ours begins ([[library]]); the first model as soon as its query is planned, where
 * the driver runs the tasks itself ([[model]]). Each at most once in a process: afterwards there is nothing to win.
 *
 * Everything runs on a daemon thread of its own and is kept where the first task would have put it, so that a task which comes meanwhile waits
 * for this load rather than starting its own. A failure is left to the one who needs the thing: it is met again there,
 * and told with all that is known then. A process that ends meanwhile waits for it: libtorch must not be taken down while it starts.
 */
private[flambeau] final class LoadAhead extends Logging {

  private val libraryBegun, modelBegun = new AtomicBoolean

  /** Libtorch, our own library and Arrow's classes. */
  def library(): Unit = if (libraryBegun.compareAndSet(false, true)) inBackground("the native library") {
    NativeLibrary.ensureLoaded()
    VectorSchemaRoot.create(ArrowAccess.toArrowSchema(new StructType().add("value", BinaryType)), ArrowAccess.rootAllocator()).close()
  }

  /** The weights of a model, which stay in the process as those of a query that has ended do. `settings` as a task will give them. */
  def model(ref: ModelRef, settings: InferenceSettings): Unit =
    if (runsTasks && modelBegun.compareAndSet(false, true)) inBackground(s"model '${ref.name}'") {
      ModelSession.load(ref.spec.hash, ModelStore.localDirectory(ref), settings)
    }

  private def runsTasks: Boolean =
    Option(SparkEnv.get).flatMap(_.conf.getOption("spark.master")).exists(master => master == "local" || master.startsWith("local["))

  private def inBackground(what: String)(load: => Unit): Unit = {
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
    // Refused, as the thread then is not started, where the process ends already.
    Try(Runtime.getRuntime.addShutdownHook(new Thread(() => ended(thread), "flambeau-load-ahead-end"))).foreach(_ => thread.start())
  }

  /** Interrupts what waits or copies; what is in the middle of native code goes on to its end. */
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

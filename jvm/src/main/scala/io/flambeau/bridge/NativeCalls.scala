package io.flambeau.bridge

import java.util.concurrent.TimeUnit
import java.util.concurrent.atomic.AtomicInteger

import org.apache.spark.TaskKilledException
import org.apache.spark.internal.Logging

import io.flambeau.spark.ProcessEnd

/**
 * The calls that run in libtorch now, of all threads. A process that ends removes libtorch's tables while other threads still run: one
 * that is in libtorch then would crash it, and an exit code of 0 would become that of a crash. So the process waits for them. A forward
 * pass ends, and no other begins.
 */
private[flambeau] object NativeCalls extends Logging {

  /** Longer than a pass takes. A model that takes longer to load is not waited for. */
  private val PatienceMillis = 10000L

  private val running = new AtomicInteger
  @volatile private var ending = false

  /** Whether the process ends. Batches stop between two passes then. */
  def isEnding: Boolean = ending

  /**
   * Runs a call that may be in libtorch for long.
   *
   * @throws org.apache.spark.TaskKilledException
   *   if the process ends
   */
  def counted[T](call: => T): T = {
    running.incrementAndGet()
    try {
      if (ending) throw killed()
      try call
      catch { case _: NativeException if ending => throw killed() }
    } finally running.decrementAndGet()
  }

  /** Frees what a handle holds; the end of the process frees the rest. Tasks that end with the process close while it ends. */
  def close(handle: Long): Unit = {
    running.incrementAndGet()
    try if (!ending) NativeBridge.close(handle)
    finally running.decrementAndGet()
  }

  /** Called once, when the library is loaded. */
  def endBeforeProcess(): Unit = ProcessEnd.afterSpark(() => end())

  private def killed() = new TaskKilledException("the process is ending")

  private def end(): Unit = {
    ending = true
    val deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(PatienceMillis)
    while (running.get > 0 && System.nanoTime() < deadline) Thread.sleep(5)
    if (running.get > 0) logWarning(s"${running.get} native calls still run while the process ends")
  }
}

package io.flambeau.train

import java.util.concurrent.atomic.AtomicReference

import org.apache.spark.TaskContext

/**
 * Passes a kill of the task on to the trainer that the task's thread runs: that thread may be waiting for a peer and cannot check
 * itself. One daemon thread, which ends with `close`; it only uses the kill flag and the trainer's cancel.
 */
private[train] final class TaskKillMonitor(task: TaskContext) extends AutoCloseable {
  private val watched = new AtomicReference[() => Unit]
  @volatile private var closed = false

  private val thread = new Thread(() => watch(), s"flambeau kill monitor of task ${task.taskAttemptId()}")
  thread.setDaemon(true)
  thread.start()

  /** Runs `body`. If the task is killed, calls `cancel`, which must be thread-safe and end `body`. Replaces an earlier watch. */
  def over[T](cancel: () => Unit)(body: => T): T = {
    watched.set(cancel)
    try body
    finally watched.set(null)
  }

  override def close(): Unit = {
    closed = true
    thread.interrupt()
    thread.join()
  }

  private def watch(): Unit =
    try while (!closed) {
        Thread.sleep(TaskKillMonitor.PauseMillis)
        if (task.isInterrupted()) Option(watched.get).foreach(cancel => cancel())
      }
    catch { case _: InterruptedException => () }
}

private[train] object TaskKillMonitor {
  private val PauseMillis = 100L
}

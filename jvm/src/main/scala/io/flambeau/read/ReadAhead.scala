package io.flambeau.read

import java.io.InterruptedIOException
import java.util.concurrent.{Callable, ExecutionException, Future, LinkedBlockingQueue, ThreadFactory, ThreadPoolExecutor, TimeoutException, TimeUnit}
import java.util.concurrent.atomic.AtomicInteger

import scala.util.control.NonFatal

import org.apache.spark.TaskContext

import io.flambeau.spark.SparkAccess

/**
 * The reads of one task that are under way or wait for their turn. They are taken in the order in which they were started.
 *
 * Bounds: [[ReadSettings.parallelism]] reads run at the same time; what was read and not taken has at most
 * [[ReadSettings.aheadBytes]], plus one file. A read waits with its first byte until there is room, except for the one that is
 * taken next. All of it ends with the task.
 */
private[flambeau] final class ReadAhead(task: TaskContext, settings: ReadSettings) {
  private val reader = new FileReader(settings)
  private val threads = new ThreadPoolExecutor(
    settings.parallelism, settings.parallelism, 0, TimeUnit.SECONDS, new LinkedBlockingQueue[Runnable], ReadAhead.Daemons)
  private val room = new Object
  // Guarded by `room`.
  private var heldBytes = 0L
  private var started = 0L
  private var taken = 0L
  private var closed = false

  task.addTaskCompletionListener[Unit](_ => close())

  /** Whether no more should be started now. At least one always may be. */
  def isFull: Boolean = room.synchronized {
    val waiting = started - taken
    waiting > 0 && (heldBytes >= settings.aheadBytes || waiting >= settings.parallelism * ReadAhead.WaitingPerRead)
  }

  /** A row's read. `rowBytes` are held as long as the row waits. On the task's thread. */
  def start(path: String, rowBytes: Long): ReadAhead.Read = {
    val number = room.synchronized {
      heldBytes += rowBytes
      started += 1
      started - 1
    }
    val read = new ReadAhead.Read(path, rowBytes)
    try {
      val file = reader.file(path)
      read.result = threads.submit(new Callable[Array[Byte]] { override def call(): Array[Byte] = file.read(admit(number, read, _)) })
    } catch { case NonFatal(cause) => read.failure = Some(cause) }
    read
  }

  /** A row without a file takes its turn too. */
  def skip(rowBytes: Long): ReadAhead.Read = room.synchronized {
    heldBytes += rowBytes
    started += 1
    new ReadAhead.Read(null, rowBytes)
  }

  /** The content of the oldest read that was not taken, or why there is none; null content for a row without a file. */
  def take(read: ReadAhead.Read): Either[Throwable, Array[Byte]] =
    try {
      if (read.failure.isDefined) Left(read.failure.get) else if (read.result == null) Right(null) else await(read.result)
    } finally room.synchronized {
        heldBytes -= read.rowBytes + read.fileBytes
        taken += 1
        room.notifyAll()
      }

  def close(): Unit = {
    room.synchronized {
      closed = true
      room.notifyAll()
    }
    // Interrupts those that are reading.
    threads.shutdownNow()
  }

  private def admit(number: Long, read: ReadAhead.Read, bytes: Long): Unit = room.synchronized {
    while (!closed && number != taken && heldBytes + bytes > settings.aheadBytes) room.wait()
    if (closed) throw new InterruptedIOException("the task has ended")
    read.fileBytes = bytes
    heldBytes += bytes
  }

  @scala.annotation.tailrec
  private def await(result: Future[Array[Byte]]): Either[Throwable, Array[Byte]] = {
    val done =
      try Some(Right(result.get(ReadAhead.KillCheckMillis, TimeUnit.MILLISECONDS)))
      catch {
        case _: TimeoutException => None
        case failed: ExecutionException => Some(Left(failed.getCause))
      }
    done match {
      case Some(content) => content
      case None =>
        SparkAccess.stopIfKilled(task)
        await(result)
    }
  }
}

private[flambeau] object ReadAhead {

  /** Rows that wait, by read that runs: so that one slow file does not leave the others idle. */
  private val WaitingPerRead = 16

  private val KillCheckMillis = 100L

  /** One row's read. */
  final class Read private[ReadAhead] (val path: String, private[ReadAhead] val rowBytes: Long) {
    private[ReadAhead] var result: Future[Array[Byte]] = null
    private[ReadAhead] var failure: Option[Throwable] = None
    // Guarded by `room`.
    private[ReadAhead] var fileBytes = 0L
  }

  private object Daemons extends ThreadFactory {
    private val count = new AtomicInteger

    override def newThread(body: Runnable): Thread = {
      val thread = new Thread(body, s"flambeau-read-${count.incrementAndGet()}")
      thread.setDaemon(true)
      thread
    }
  }
}

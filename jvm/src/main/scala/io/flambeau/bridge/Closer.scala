package io.flambeau.bridge

import scala.collection.mutable.ArrayBuffer

/** What a task acquired, released newest first, once; the first failure is thrown when all were tried. On the task's thread. */
private[flambeau] final class Closer extends AutoCloseable {
  private val all = ArrayBuffer.empty[() => Unit]

  /** `resource`, which `release` will free. */
  def own[T](resource: T)(release: T => Unit): T = {
    atEnd(release(resource))
    resource
  }

  /** Runs `body` when all is released, before what was acquired until now. */
  def atEnd(body: => Unit): Unit = all += (() => body)

  override def close(): Unit = {
    val now = all.reverse.toList
    all.clear()
    val failures = now.flatMap { release =>
      try { release(); None }
      catch { case cause: Throwable => Some(cause) }
    }
    failures.headOption.foreach { first =>
      failures.tail.foreach(first.addSuppressed)
      throw first
    }
  }
}

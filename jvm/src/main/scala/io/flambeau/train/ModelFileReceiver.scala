package io.flambeau.train

import java.nio.ByteBuffer
import java.nio.channels.FileChannel
import java.nio.file.{Files, Path, Paths, StandardOpenOption}

import scala.collection.mutable
import scala.util.Using

import io.flambeau.spark.DriverChannel

/**
 * A part of a file of a trained model.
 *
 * @param attempt
 *   of the task that sends it
 * @param run
 *   which of the job's trainings it is of
 * @param offset
 *   where in the file it begins, in bytes
 */
private[train] final case class FilePart(attempt: Long, run: Int, name: String, offset: Long, bytes: Array[Byte]) {
  def fields: Array[AnyRef] = Array(Long.box(attempt), Int.box(run), name, Long.box(offset), bytes)
}

private[train] object FilePart {
  def of(fields: Array[AnyRef]): FilePart = fields match {
    case Array(attempt: java.lang.Long, run: Integer, name: String, offset: java.lang.Long, bytes: Array[Byte]) =>
      FilePart(attempt, run, name, offset, bytes)
    case other => throw new IllegalArgumentException(s"${other.length} values are no part of a file")
  }
}

/**
 * Sends the files of trained models from rank 0 to folders of the driver, part by part over the job's [[DriverChannel]]. Models
 * may have any size: neither a task's result nor the driver's heap holds more than one part.
 *
 * On the driver, parts arrive on the channel's thread, and the thread that called `fit` claims the folders. `close` deletes
 * folders that were not claimed.
 */
private[train] final class ModelFileReceiver(owner: String) extends AutoCloseable {
  private val folders = mutable.Map.empty[(Long, Int), Path]

  def take(part: FilePart): Unit = synchronized {
    require(Paths.get(part.name).getFileName.toString == part.name, s"'${part.name}' is not a file's name")
    val folder = folders.getOrElseUpdate((part.attempt, part.run), Scratch.create(Paths.get(System.getProperty("java.io.tmpdir")), s"flambeau-$owner-"))
    Using.resource(FileChannel.open(folder.resolve(part.name), StandardOpenOption.CREATE, StandardOpenOption.WRITE)) { file =>
      val bytes = ByteBuffer.wrap(part.bytes)
      while (bytes.hasRemaining) file.write(bytes, part.offset + bytes.position())
    }
  }

  /** The folder with a training's files. The caller owns it from here on. */
  def claim(attempt: Long, run: Int): Path = synchronized {
    folders.remove((attempt, run)).getOrElse(throw new IllegalStateException(s"$owner: the files of training $run never came"))
  }

  override def close(): Unit = synchronized {
    folders.values.foreach(Scratch.delete)
    folders.clear()
  }
}

private[train] object ModelFileReceiver {
  private val PartBytes = 4 << 20

  /** Sends a file; returns when the driver has written it. */
  def send(driver: DriverChannel.Caller, attempt: Long, run: Int, file: Path): Unit =
    Using.resource(Files.newInputStream(file)) { in =>
      var offset = 0L
      var bytes = in.readNBytes(PartBytes)
      do {
        driver.upload(FilePart(attempt, run, file.getFileName.toString, offset, bytes).fields)
        offset += bytes.length
        bytes = in.readNBytes(PartBytes)
      } while (bytes.nonEmpty)
    }
}

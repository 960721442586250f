package io.flambeau.files

import java.io.{InputStream, IOException}
import java.nio.file.{Files, LinkOption, Path}
import java.security.MessageDigest
import java.util.HexFormat

import scala.util.Using

import org.apache.spark.TaskContext

import io.flambeau.spark.SparkAccess

/** Operations on local files and folders that several classes need: link, hash, delete. */
private[flambeau] object LocalFiles {

  private val BufferBytes = 1 << 20

  /** The same file under another name, or a copy if a hard link is not possible. */
  def link(from: Path, to: Path): Unit =
    try { Files.createLink(to, from); () }
    catch { case _: IOException | _: UnsupportedOperationException => Files.copy(from, to); () }

  /** With its contents, if it is a folder; links are not followed. */
  def deleteFolder(folder: Path): Unit = if (Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS)) {
    Using.resource(Files.list(folder)) { files =>
      files.forEach(file => if (Files.isDirectory(file, LinkOption.NOFOLLOW_LINKS)) deleteFolder(file) else Files.delete(file))
    }
    Files.delete(folder)
  }

  /** SHA-256 in hexadecimal. */
  def sha256(bytes: Array[Byte]): String = hex(MessageDigest.getInstance("SHA-256").digest(bytes))

  /** SHA-256 of a stream, which is closed. */
  def sha256(stream: InputStream): String = Using.resource(stream) { in =>
    val digest = MessageDigest.getInstance("SHA-256")
    chunks(in)((buffer, n) => digest.update(buffer, 0, n))
    hex(digest.digest())
  }

  /** Reads to the end, buffer by buffer; a killed task stops in between. */
  private[files] def chunks(in: InputStream)(use: (Array[Byte], Int) => Unit): Unit = {
    val buffer = new Array[Byte](BufferBytes)
    Iterator.continually(in.read(buffer)).takeWhile(_ >= 0).foreach { n =>
      stopIfKilled()
      use(buffer, n)
    }
  }

  /** Ends a killed task with Spark's own exception; elsewhere nothing happens. */
  private[files] def stopIfKilled(): Unit = Option(TaskContext.get()).foreach(SparkAccess.stopIfKilled)

  private[files] def hex(bytes: Array[Byte]): String = HexFormat.of().formatHex(bytes)
}

package io.flambeau.read

import java.io.{ByteArrayOutputStream, FileNotFoundException, InputStream, IOException}

import scala.collection.mutable

import org.apache.hadoop.fs.{FileStatus, FileSystem, Path}
import org.apache.hadoop.io.IOUtils
import org.apache.hadoop.util.functional.FutureIO
import org.apache.spark.sql.internal.SQLConf

import io.flambeau.FlambeauException
import io.flambeau.conf.FlambeauConf
import io.flambeau.models.{HadoopSettings, ReadablePaths}

/**
 * What a task needs to read files: plain values, serialized to executors.
 *
 * @param parallelism
 *   files that one task reads at the same time
 * @param aheadBytes
 *   bytes of files and rows that wait for their turn
 * @param maxBytes
 *   of one file
 */
private[flambeau] final case class ReadSettings(
    hadoop: HadoopSettings, paths: ReadablePaths, parallelism: Int, aheadBytes: Long, maxBytes: Long)

private[flambeau] object ReadSettings {

  /** Driver only. */
  def of(session: SQLConf): ReadSettings = {
    val paths = ReadablePaths.of(session)
    ReadSettings(
      paths.hadoop, paths, FlambeauConf.get(session, FlambeauConf.ReadParallelism).toInt, FlambeauConf.get(session, FlambeauConf.ReadAheadBytes),
      FlambeauConf.get(session, FlambeauConf.ReadMaxBytes))
  }
}

/**
 * Files of Hadoop file systems, whole, by path or URI. A path without a scheme is on Hadoop's default file system, as in Spark's own
 * readers. Failed requests are repeated by the file system's client, as its settings say, and not here.
 */
private[flambeau] final class FileReader(settings: ReadSettings) {
  private lazy val configuration = settings.hadoop.configuration()
  private val systems = mutable.Map.empty[(String, String), FileSystem]

  /** The file at this path. Call it on the task's thread: the file system is that of its user. Nothing is read yet. */
  def file(text: String): FileToRead = {
    val path =
      try new Path(text)
      catch { case cause: IllegalArgumentException => throw new IOException(s"not a path: ${cause.getMessage}", cause) }
    settings.paths.checkFileSystem(path)
    val uri = path.toUri
    val fs = systems.getOrElseUpdate((uri.getScheme, uri.getAuthority), settings.hadoop.fileSystemOf(path, configuration))
    new FileToRead(fs, fs.makeQualified(path), settings)
  }
}

private[flambeau] object FileReader {

  /** The error of a row whose file cannot be read. */
  def failure(function: String, path: String, cause: Throwable): FlambeauException = {
    val why = describe(cause)
    new FlambeauException(
      "FLAMBEAU_BAD_INPUT", s"$function: '$path' cannot be read: $why. try_read_bytes gives NULL for such a row.",
      Map("model" -> "", "path" -> path, "cause" -> why), cause)
  }

  /** Hadoop reports a local file without permission as one that was not found. */
  private def describe(cause: Throwable): String = cause match {
    case missing: FileNotFoundException if String.valueOf(missing.getMessage).contains("Permission denied") => s"no permission for ${missing.getMessage}"
    case other => FlambeauException.describe(other)
  }
}

/** A file that can be read by any thread, once. */
private[flambeau] final class FileToRead(fs: FileSystem, path: Path, settings: ReadSettings) {

  /**
   * The content. `admit` is called with the number of bytes as soon as it is known and before they are read, and may wait.
   *
   * @throws IOException
   *   for a folder, a file that is too large, missing or not allowed, and all that the file system reports
   */
  def read(admit: Long => Unit): Array[Byte] = {
    val real = settings.paths.resolve(fs, path)
    val status = fs.getFileStatus(real)
    if (status.isDirectory) throw new IOException("it is a folder, and not a file")
    if (status.getLen > settings.maxBytes) throw tooLarge(s"it has ${status.getLen} bytes")
    admit(math.max(0L, status.getLen))
    val in = open(real, status)
    try if (status.getLen < 0) toEnd(in) else exactly(in, status.getLen.toInt)
    finally in.close()
  }

  /** The status spares object stores a second request for it. */
  private def open(real: Path, status: FileStatus): InputStream =
    FutureIO.awaitFuture(fs.openFile(real).opt("fs.option.openfile.read.policy", "whole-file").withFileStatus(status).build())

  private def exactly(in: InputStream, length: Int): Array[Byte] = {
    val bytes = new Array[Byte](length)
    IOUtils.readFully(in, bytes, 0, length)
    bytes
  }

  /** Of a web server, which does not say how long the file is. */
  private def toEnd(in: InputStream): Array[Byte] = {
    val bytes = new ByteArrayOutputStream
    val buffer = new Array[Byte](FileToRead.BufferBytes)
    Iterator.continually(in.read(buffer)).takeWhile(_ >= 0).foreach { n =>
      if (bytes.size + n.toLong > settings.maxBytes) throw tooLarge("it is longer")
      bytes.write(buffer, 0, n)
    }
    bytes.toByteArray
  }

  private def tooLarge(what: String): IOException =
    new IOException(s"$what, and ${FlambeauConf.ReadMaxBytes.key} allows ${settings.maxBytes}")
}

private object FileToRead {
  val BufferBytes: Int = 64 * 1024
}

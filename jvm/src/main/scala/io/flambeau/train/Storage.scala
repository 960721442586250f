package io.flambeau.train

import java.io.{FileNotFoundException, IOException}
import java.nio.file.{AccessDeniedException, FileSystemException, Files, Path => LocalPath}
import java.util.UUID

import scala.util.Using

import org.apache.hadoop.fs.{FileAlreadyExistsException, FileSystem, ParentNotDirectoryException, Path, UnsupportedFileSystemException}
import org.apache.hadoop.security.AccessControlException

import io.flambeau.FlambeauException
import io.flambeau.models.HadoopSettings

/**
 * The folders that a training writes to. Checks that they can be written before hours of work depend on it, and classifies their
 * failures. Used by the driver's thread and by tasks.
 */
private[train] object Storage {
  val Condition = "FLAMBEAU_STORAGE"

  val ScratchAdvice: String =
    "Free some space there, or point spark.local.dir (on YARN and Kubernetes the cluster's own setting) to a disk with room for the training rows."

  /**
   * A failure of one folder.
   *
   * @param what
   *   the folder, by the parameter that names it
   */
  final class Failed(what: String, val advice: String, cause: IOException)
      extends IOException(s"$what: ${Option(cause.getMessage).getOrElse(cause.toString)}", cause)

  /** Runs `body`, so that its failures name the folder. */
  def of[T](what: String, advice: String)(body: => T): T =
    try body
    catch {
      case cause: Failed => throw cause
      case cause: IOException => throw new Failed(what, advice, cause)
    }

  /** The exception for users. */
  def failure(owner: String, cause: IOException): FlambeauException = {
    val (why, advice) = cause match {
      case known: Failed => (known.getMessage, known.advice)
      case other => (Option(other.getMessage).getOrElse(other.toString), "Look at the log of the worker.")
    }
    new FlambeauException(Condition, s"$owner: $why. $advice", Map("model" -> owner, "cause" -> why), cause)
  }

  /** Whether it would happen again: no space, no permission, no such place. A file system that did not answer may answer the next time. */
  def isLasting(cause: IOException): Boolean =
    Iterator.iterate[Throwable](cause)(_.getCause).takeWhile(_ != null).exists {
      case _: AccessControlException | _: AccessDeniedException | _: FileAlreadyExistsException | _: ParentNotDirectoryException |
          _: UnsupportedFileSystemException | _: FileNotFoundException | _: FileSystemException => true
      case other => Option(other.getMessage).exists(text => LastingTexts.exists(text.toLowerCase.contains))
    }

  private val LastingTexts =
    Seq(
      "no space left", "permission denied", "read-only file system", "quota", "mkdirs failed", "file too large", "no filesystem for scheme",
      // Hadoop reads a local file's permissions with a shell command, so errors come as text.
      "not a directory", "is a directory", "no such file or directory", "file name too long")

  /** Makes the folder, writes a file into it and deletes both again, the folder unless it was there before. */
  def probe(parameter: String, directory: String, hadoop: HadoopSettings): Unit =
    of(s"$parameter $directory cannot be written", s"Set $parameter to a folder that driver and executors can write to.") {
      val folder = new Path(directory)
      val files = folder.getFileSystem(hadoop.configuration())
      val missing = Iterator.iterate(folder)(_.getParent).takeWhile(path => path != null && !files.exists(path)).toList
      makeFolder(files, folder)
      val file = new Path(folder, s".flambeau-probe-${UUID.randomUUID()}")
      try Using.resource(files.create(file, true))(_.write(ProbeBytes))
      finally files.delete(file, false)
      // Another fit may have put something there meanwhile; then this fails.
      try missing.foreach(files.delete(_, false))
      catch { case _: IOException => () }
    }

  def makeFolder(files: FileSystem, folder: Path): Unit =
    if (!files.mkdirs(folder)) throw new IOException(s"Mkdirs failed for $folder")

  /** Whether a local folder is writable. */
  def probeLocal(folder: LocalPath): Unit = {
    val file = folder.resolve("probe")
    try Files.write(file, ProbeBytes)
    finally Files.deleteIfExists(file)
    ()
  }

  private val ProbeBytes = Array.fill[Byte](4096)(1)
}

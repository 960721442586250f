package io.flambeau.train

import java.io.FileNotFoundException
import java.nio.file.{Files, Path => LocalPath}

import scala.util.Try

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileStatus, FileSystem, Path}
import org.apache.spark.internal.Logging

import io.flambeau.bridge.{ErrorKind, NativeException}
import io.flambeau.models.HadoopSettings

/**
 * Checkpoints of one training on a Hadoop file system. Rank 0 writes and chooses; every rank reads. Used by the task's thread.
 *
 * A file is written under a hidden name and then renamed, so a file with its name is complete. Its checksum shows whether it is
 * damaged (rust/train/src/checkpoint.rs). Names sort by step. If the newest is damaged, the one before it is used.
 *
 * @param run
 *   which of a fit's trainings it is
 */
private[train] final class Checkpoints(spec: CheckpointSpec, run: Int, hadoop: HadoopSettings, scratch: LocalPath) extends Logging {
  private lazy val configuration: Configuration = hadoop.configuration()

  /** Calls `write` to make a local file, and saves it as the checkpoint after `step` steps; deletes the oldest ones above the number to keep. */
  def save(step: Long)(write: LocalPath => Unit): Unit = spec.directory.foreach { directory =>
    val local = scratch.resolve(s"checkpoint-$step")
    try {
      write(local)
      Storage.of(s"checkpointDir $directory cannot be written", "Free some space there, or set checkpointDir to another folder.") {
        val folder = new Path(directory)
        val files = folder.getFileSystem(configuration)
        val target = new Path(folder, f"${Checkpoints.Prefix}$step%012d${Checkpoints.Suffix}")
        // A folder that was removed meanwhile is made again; if that fails, the error has the reason.
        if (!put(files, local, target) && !put(files, local, target)) throw new java.io.IOException(s"$target cannot be renamed into its place")
        Checkpoints.in(files, folder).dropRight(spec.keep).foreach(old => files.delete(old.getPath, false))
        logInfo(s"checkpoint $target")
      }
    } finally Files.deleteIfExists(local)
  }

  /** Whether the file is there under its name, and complete. */
  private def put(files: FileSystem, local: LocalPath, target: Path): Boolean = {
    Storage.makeFolder(files, target.getParent)
    val hidden = new Path(target.getParent, s".${target.getName}.writing")
    files.copyFromLocalFile(false, true, new Path(local.toUri), hidden)
    // An existing checkpoint of this step has the same content: a retried stage makes it again.
    files.delete(target, false)
    files.rename(hidden, target)
  }

  /**
   * Calls `read` to continue from this fit's newest complete checkpoint, otherwise from the user's. Returns its path; None if
   * there is none. Damaged ones are skipped and logged; if `resumeFrom` only has damaged ones, that is an error.
   */
  def resume(read: LocalPath => Unit): Option[String] =
    newest(spec.directory.toSeq.flatMap(found))(read).orElse(spec.resumeFrom.map { from =>
      val candidates = Checkpoints.ofRun(found(from), run)
      if (candidates.isEmpty) throw new FileNotFoundException(s"resumeFrom: $from is neither a checkpoint nor a folder with one")
      newest(candidates)(read).getOrElse(throw new FileNotFoundException(
          s"resumeFrom: there is no usable checkpoint in $from: ${candidates.map(_.getPath).mkString(", ")}. Each is damaged, or of another version"))
    })

  /** The first that `read` accepts, beginning with the newest. */
  private def newest(candidates: Seq[FileStatus])(read: LocalPath => Unit): Option[String] =
    candidates.reverseIterator.map(_.getPath.toString).find { path =>
      try {
        load(path)(read)
        true
      } catch {
        case cause: NativeException if cause.kind == ErrorKind.BadCheckpoint =>
          logWarning(s"the checkpoint $path is skipped: ${cause.getMessage}")
          false
      }
    }

  /** Makes a checkpoint local while `read` runs. */
  def load(path: String)(read: LocalPath => Unit): Unit = {
    val local = scratch.resolve("resume")
    val source = new Path(path)
    try {
      Storage.of(s"the checkpoint $path cannot be read", "It must be in a folder that all executors see.") {
        source.getFileSystem(configuration).copyToLocalFile(false, source, new Path(local.toUri), true)
      }
      try read(local)
      catch {
        case cause: NativeException => throw new NativeException(cause.kind, s"$path: ${cause.getMessage}", cause.row)
      }
    } finally Files.deleteIfExists(local)
  }

  private def found(from: String): Seq[FileStatus] = {
    val path = new Path(from)
    Checkpoints.under(path.getFileSystem(configuration), path)
  }
}

private[train] object Checkpoints {
  val Prefix = "step-"
  val Suffix = ".checkpoint"

  /** The name of the folder of one of a fit's trainings. */
  def folderOf(run: Int): String = s"run-$run"

  /** Checkpoints in this folder, of the fewest steps first. */
  private def in(files: FileSystem, folder: Path): Seq[FileStatus] =
    list(files, folder).filter(f => f.isFile && isCheckpoint(f.getPath)).sortBy(age)

  /** This file, or all checkpoints in this folder and below it, of the fewest steps first. */
  private def under(files: FileSystem, path: Path): Seq[FileStatus] = {
    val here = list(files, path)
    val found = here.filter(f => f.isFile && (isCheckpoint(f.getPath) || f.getPath == files.makeQualified(path)))
    val below = here.filter(_.isDirectory).flatMap(f => under(files, f.getPath))
    (found ++ below).sortBy(age)
  }

  /** If a folder holds all trainings of a fit, those of one of them. */
  private def ofRun(all: Seq[FileStatus], run: Int): Seq[FileStatus] = {
    val own = all.filter(_.getPath.getParent.getName == folderOf(run))
    if (own.isEmpty) all else own
  }

  /** By number of steps; if two fits have the same number, the last one written is newer. */
  private def age(file: FileStatus): (Long, Long, String) = (step(file.getPath), file.getModificationTime, file.getPath.toString)

  /** -1 for a file with another name. */
  private def step(path: Path): Long = Try(path.getName.stripPrefix(Prefix).stripSuffix(Suffix).toLong).getOrElse(-1L)

  private def list(files: FileSystem, path: Path): Seq[FileStatus] =
    try files.listStatus(path).toSeq
    catch { case _: FileNotFoundException => Nil }

  private def isCheckpoint(path: Path): Boolean = path.getName.startsWith(Prefix) && path.getName.endsWith(Suffix)
}

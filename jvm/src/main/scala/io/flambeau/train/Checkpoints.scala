package io.flambeau.train

import java.io.FileNotFoundException
import java.nio.file.{Files, Path => LocalPath}

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileStatus, FileSystem, Path}
import org.apache.spark.internal.Logging

import io.flambeau.bridge.{ErrorKind, NativeException}
import io.flambeau.models.HadoopSettings

/**
 * Checkpoints of one training on a Hadoop file system. Rank 0 writes and chooses; every rank reads. On the task's thread.
 *
 * A file is written under a hidden name and then renamed, so one that is there was written to its end; whether it still is what was
 * written, its own checksum tells (rust/train/src/checkpoint.rs). Names sort by step. Where the newest is damaged, the one before
 * it is taken.
 *
 * @param run
 *   which of a fit's trainings it is
 */
private[train] final class Checkpoints(spec: CheckpointSpec, run: Int, hadoop: HadoopSettings, scratch: LocalPath) extends Logging {
  private lazy val configuration: Configuration = hadoop.configuration()

  /** Has `write` make a local file, and keeps it as the checkpoint after `step` steps; drops the oldest beyond those to keep. */
  def save(step: Long)(write: LocalPath => Unit): Unit = spec.directory.foreach { directory =>
    val local = scratch.resolve(s"checkpoint-$step")
    try {
      write(local)
      Storage.of(s"checkpointDir $directory cannot be written", "Free some space there, or set checkpointDir to another folder.") {
        val folder = new Path(directory)
        val files = folder.getFileSystem(configuration)
        val target = new Path(folder, f"${Checkpoints.Prefix}$step%012d${Checkpoints.Suffix}")
        // A folder that somebody took away meanwhile is made again, or says why it cannot be.
        if (!put(files, local, target) && !put(files, local, target)) throw new java.io.IOException(s"$target cannot be renamed into its place")
        Checkpoints.in(files, folder).dropRight(spec.keep).foreach(old => files.delete(old.getPath, false))
        logInfo(s"checkpoint $target")
      }
    } finally Files.deleteIfExists(local)
  }

  /** Whether the file is there under its name, and whole. */
  private def put(files: FileSystem, local: LocalPath, target: Path): Boolean = {
    Storage.makeFolder(files, target.getParent)
    val hidden = new Path(target.getParent, s".${target.getName}.writing")
    files.copyFromLocalFile(false, true, new Path(local.toUri), hidden)
    // A checkpoint of this step that is there already holds the same: a retried stage makes it again.
    files.delete(target, false)
    files.rename(hidden, target)
  }

  /**
   * Has `read` continue from this fit's newest checkpoint that is whole, else from what the user said. Gives its path; None where there
   * is nothing to go on from. A damaged one is passed over, which the log tells; where `resumeFrom` has only such, that fails.
   */
  def resume(read: LocalPath => Unit): Option[String] =
    newest(spec.directory.toSeq.flatMap(found))(read).orElse(spec.resumeFrom.map { from =>
      val candidates = Checkpoints.ofRun(found(from), run)
      if (candidates.isEmpty) throw new FileNotFoundException(s"resumeFrom: $from is neither a checkpoint nor a folder with one")
      newest(candidates)(read).getOrElse(throw new FileNotFoundException(
          s"resumeFrom: there is no usable checkpoint in $from: ${candidates.map(_.getPath).mkString(", ")}. Each is damaged, or of another version"))
    })

  /** The first that `read` takes, the newest before all. */
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

  /** Makes a checkpoint local for as long as `read` takes. */
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

  /** How a fit names the folder of one of its trainings. */
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

  /** Where a folder holds all trainings of a fit, those of one of them. */
  private def ofRun(all: Seq[FileStatus], run: Int): Seq[FileStatus] = {
    val own = all.filter(_.getPath.getParent.getName == folderOf(run))
    if (own.isEmpty) all else own
  }

  /** By steps made; of two fits with as many, the one that wrote last is newer. */
  private def age(file: FileStatus): (Long, Long, String) = (step(file.getPath), file.getModificationTime, file.getPath.toString)

  /** Of a file under another name: -1. */
  private def step(path: Path): Long = path.getName.stripPrefix(Prefix).stripSuffix(Suffix).toLongOption.getOrElse(-1L)

  private def list(files: FileSystem, path: Path): Seq[FileStatus] =
    try files.listStatus(path).toSeq
    catch { case _: FileNotFoundException => Nil }

  private def isCheckpoint(path: Path): Boolean = path.getName.startsWith(Prefix) && path.getName.endsWith(Suffix)
}

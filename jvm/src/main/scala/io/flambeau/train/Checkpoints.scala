package io.flambeau.train

import java.io.{FileNotFoundException, IOException}
import java.nio.file.{Files, Path => LocalPath}

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileStatus, FileSystem, Path}
import org.apache.spark.internal.Logging

import io.flambeau.models.HadoopSettings

/**
 * Checkpoints of one training on a Hadoop file system. Rank 0 writes; every rank reads. On the task's thread.
 *
 * A file is written under a hidden name and then renamed, so one that is there is whole. Names sort by step.
 */
private[train] final class Checkpoints(spec: CheckpointSpec, hadoop: HadoopSettings, scratch: LocalPath) extends Logging {
  private lazy val configuration: Configuration = hadoop.configuration()

  def writes: Boolean = spec.directory.isDefined

  /** Has `write` make a local file, and keeps it as the checkpoint after `step` steps; drops the oldest beyond those to keep. */
  def save(step: Long)(write: LocalPath => Unit): Unit = spec.directory.foreach { directory =>
    val local = scratch.resolve(s"checkpoint-$step")
    try {
      write(local)
      val folder = new Path(directory)
      val files = folder.getFileSystem(configuration)
      files.mkdirs(folder)
      val target = new Path(folder, f"${Checkpoints.Prefix}$step%012d${Checkpoints.Suffix}")
      val hidden = new Path(folder, s".${target.getName}.writing")
      files.copyFromLocalFile(false, true, new Path(local.toUri), hidden)
      // A checkpoint of this step that is there already holds the same: a retried stage makes it again.
      files.delete(target, false)
      if (!files.rename(hidden, target)) throw new IOException(s"$hidden cannot be renamed to $target")
      Checkpoints.in(files, folder).dropRight(spec.keep).foreach(old => files.delete(old.getPath, false))
      logInfo(s"checkpoint $target")
    } finally Files.deleteIfExists(local)
  }

  /** The checkpoint to go on from: this fit's newest, else what the user said. */
  def latest(): Option[String] =
    spec.directory.flatMap(newest).orElse(spec.resumeFrom.map { from =>
      newest(from).getOrElse(throw new FileNotFoundException(s"resumeFrom: $from is no checkpoint and no folder with one"))
    })

  /** Makes a checkpoint local for as long as `read` takes. */
  def load(path: String)(read: LocalPath => Unit): Unit = {
    val local = scratch.resolve("resume")
    val source = new Path(path)
    try {
      source.getFileSystem(configuration).copyToLocalFile(false, source, new Path(local.toUri), true)
      read(local)
    } finally Files.deleteIfExists(local)
  }

  private def newest(from: String): Option[String] = {
    val path = new Path(from)
    val files = path.getFileSystem(configuration)
    Checkpoints.under(files, path).lastOption.map(_.getPath.toString)
  }
}

private[train] object Checkpoints {
  val Prefix = "step-"
  val Suffix = ".checkpoint"

  /** Checkpoints in this folder, the oldest first. */
  private def in(files: FileSystem, folder: Path): Seq[FileStatus] =
    list(files, folder).filter(f => f.isFile && isCheckpoint(f.getPath)).sortBy(_.getPath.getName)

  /** This file, or all checkpoints in this folder and below it, the oldest first. */
  private def under(files: FileSystem, path: Path): Seq[FileStatus] = {
    val here = list(files, path)
    val found = here.filter(f => f.isFile && (isCheckpoint(f.getPath) || f.getPath == files.makeQualified(path)))
    val below = here.filter(_.isDirectory).flatMap(f => under(files, f.getPath))
    (found ++ below).sortBy(f => (f.getModificationTime, f.getPath.getName))
  }

  private def list(files: FileSystem, path: Path): Seq[FileStatus] =
    try files.listStatus(path).toSeq
    catch { case _: FileNotFoundException => Nil }

  private def isCheckpoint(path: Path): Boolean = path.getName.startsWith(Prefix) && path.getName.endsWith(Suffix)
}

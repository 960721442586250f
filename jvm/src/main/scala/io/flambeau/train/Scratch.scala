package io.flambeau.train

import java.io.IOException
import java.nio.ByteBuffer
import java.nio.channels.{FileChannel, OverlappingFileLockException}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, LinkOption, NoSuchFileException, Path, Paths, StandardOpenOption}
import java.util.UUID

import scala.collection.mutable
import scala.jdk.CollectionConverters._
import scala.util.Using

import org.apache.spark.internal.Logging

import io.flambeau.files.{LocalCache, LocalFiles}
import io.flambeau.spark.SparkAccess

/**
 * The scratch folders of this process's trainings, and the removal of those of killed processes.
 *
 * Every process that trains keeps a file in `training/` under the machine's folder of Flambeau
 * (`spark.flambeau.native.directory`) whose lines name its scratch folders, and holds a lock on it. The kernel releases the lock
 * when the process ends in any way. So a process that gets the lock of another's file knows that its folders are not used any
 * more, and deletes them; the next worker on the machine does this. If that file cannot be written, training continues without
 * it.
 *
 * Any thread may use it; one at a time.
 */
private[train] object Scratch extends Logging {

  /** How the names of all our scratch folders begin; nothing else is ever deleted. */
  private val Prefix = "flambeau-"
  private val OwnerPrefix = "owner-"
  private val folders = mutable.LinkedHashSet.empty[Path]
  private var own: Option[(Path, FileChannel)] = None

  /** A new folder for a task's files on Spark's local disks, checked to be writable. */
  def ofTask(): Path = {
    val parent = SparkAccess.localDirectory()
    Storage.of(s"a scratch folder cannot be made in $parent", Storage.ScratchAdvice) {
      val folder = create(Paths.get(parent), "flambeau-training-")
      Storage.probeLocal(folder)
      folder
    }
  }

  /** A new folder in `parent`. First removes those of ended processes. */
  def create(parent: Path, prefix: String): Path = synchronized {
    removeLeftovers()
    val folder = Files.createTempDirectory(parent, prefix)
    folders += folder
    note()
    folder
  }

  def delete(folder: Path): Unit = synchronized {
    LocalFiles.deleteFolder(folder)
    if (folders.remove(folder)) note()
  }

  /** Deletes the folders of ended processes. */
  private def removeLeftovers(): Unit = quietly {
    val mine = own.map(_._1)
    Using.resource(Files.list(registry()))(_.iterator.asScala.toList)
      .filter(file => file.getFileName.toString.startsWith(OwnerPrefix) && !mine.contains(file))
      .foreach(file => quietly(removeIfOwnerIsGone(file)))
  }

  private def removeIfOwnerIsGone(file: Path): Unit =
    Using.resource(FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS)) { channel =>
      val lock =
        try channel.tryLock()
        catch { case _: OverlappingFileLockException => null }
      if (lock != null) {
        Files.readAllLines(file).asScala.map(Paths.get(_)).filter(isOurs(_, file)).foreach { folder =>
          LocalFiles.deleteFolder(folder)
          logInfo(s"removed $folder, left by a process that has ended")
        }
        Files.deleteIfExists(file)
        ()
      }
    }

  private def isOurs(folder: Path, file: Path): Boolean =
    folder.isAbsolute && folder.getFileName.toString.startsWith(Prefix) && Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS) &&
      Files.getOwner(folder, LinkOption.NOFOLLOW_LINKS) == Files.getOwner(file, LinkOption.NOFOLLOW_LINKS)

  /** Writes the list of this process's folders. */
  private def note(): Unit = quietly {
    val (_, channel) = own.getOrElse(open())
    val text = ByteBuffer.wrap(folders.map(folder => s"${folder.toAbsolutePath}\n").mkString.getBytes(UTF_8))
    channel.truncate(0)
    while (text.hasRemaining) channel.write(text, text.position().toLong)
  }

  private def open(): (Path, FileChannel) = {
    val file = registry().resolve(s"$OwnerPrefix${UUID.randomUUID()}")
    val channel = FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)
    // Between these two lines another process may have deleted it as an ended process's file.
    if (channel.tryLock() == null || !Files.exists(file)) {
      channel.close()
      open()
    } else {
      own = Some((file, channel)) // open, and so locked, until the process ends
      (file, channel)
    }
  }

  private def registry(): Path = Files.createDirectories(LocalCache.baseDirectory().resolve("training"))

  private def quietly(body: => Unit): Unit =
    try body
    catch {
      case _: NoSuchFileException => () // another process removed it first
      case cause: IOException => logWarning(s"scratch folders of killed processes are not removed: $cause")
    }
}

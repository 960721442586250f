package io.flambeau.files

import java.io.IOException
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, LinkOption, Path, StandardCopyOption}
import java.nio.file.attribute.FileTime

import scala.jdk.CollectionConverters._

import org.apache.spark.internal.Logging

/**
 * Whether a folder of [[LocalCache]] still is what was unpacked there. Files in a temporary folder are cut short by a full disk or a
 * crash, and removed by cleaners; libtorch is too large to be hashed whenever a process starts.
 *
 * A list next to the files (`.inventory`) has the kernel's data of each file at the time of its last correct hash. These are
 * inode, size, and the times of the last change of content and of attributes (the latter cannot be set back). If all are equal,
 * the content is the same; otherwise the file is hashed again.
 */
private[files] object Inventory extends Logging {

  private val Name = ".inventory"

  /** The kernel's data of a file. */
  private type Stamp = String

  /** Records the files, which have just been written and hashed. */
  def write(folder: Path, entries: Seq[LocalCache.Entry]): Unit =
    save(folder, entries.map(entry => entry -> stamp(folder.resolve(entry.name))).collect { case (entry, Some(stamp)) => entry -> stamp })

  /** Whether every file is there with the content of its hash. */
  def holds(folder: Path, entries: Seq[LocalCache.Entry]): Boolean =
    Files.isDirectory(folder, LinkOption.NOFOLLOW_LINKS) && {
      val noted = read(folder)
      val found = entries.map(entry => entry -> stamp(folder.resolve(entry.name)))
      val (known, other) = found.partition { case (entry, now) => now.isDefined && noted.get(line(entry)) == now }
      val right = other.forall { case (entry, now) => now.isDefined && hasHash(folder.resolve(entry.name), entry) }
      if (right && other.nonEmpty) save(folder, (known ++ other).collect { case (entry, Some(stamp)) => entry -> stamp })
      right
    }

  private def hasHash(file: Path, entry: LocalCache.Entry): Boolean = {
    val right = LocalFiles.sha256(Files.newInputStream(file, LinkOption.NOFOLLOW_LINKS)).equalsIgnoreCase(entry.sha256)
    if (!right) logWarning(s"$file is not what was unpacked there")
    right
  }

  private def stamp(file: Path): Option[Stamp] =
    try {
      val found = Files.readAttributes(file, "unix:ino,size,lastModifiedTime,ctime,isRegularFile", LinkOption.NOFOLLOW_LINKS)
      def nanos(name: String) = found.get(name).asInstanceOf[FileTime].to(java.util.concurrent.TimeUnit.NANOSECONDS)
      if (found.get("isRegularFile") != java.lang.Boolean.TRUE) None
      else Some(s"${found.get("ino")} ${found.get("size")} ${nanos("lastModifiedTime")} ${nanos("ctime")}")
    } catch { case _: IOException => None }

  private def line(entry: LocalCache.Entry): String = s"${entry.sha256.toLowerCase} ${entry.name}"

  private def read(folder: Path): Map[String, Stamp] =
    try Files.readAllLines(folder.resolve(Name), UTF_8).asScala.map(_.split(" / ", 2)).collect { case Array(stamp, line) => line -> stamp }.toMap
    catch { case _: IOException => Map.empty }

  /** By a rename, so that concurrent readers see the old list or the new one. Without a list files are only hashed again. */
  private def save(folder: Path, stamps: Seq[(LocalCache.Entry, Stamp)]): Unit =
    try {
      val written = Files.createTempFile(folder, Name, ".part")
      Files.writeString(written, stamps.map { case (entry, stamp) => s"$stamp / ${line(entry)}\n" }.mkString, UTF_8)
      Files.move(written, folder.resolve(Name), StandardCopyOption.ATOMIC_MOVE)
    } catch { case cause: IOException => logWarning(s"the list of files in $folder cannot be written", cause) }
}

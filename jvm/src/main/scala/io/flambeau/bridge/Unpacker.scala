package io.flambeau.bridge

import java.io.{InputStream, IOException}
import java.nio.channels.FileChannel
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path, Paths, StandardCopyOption, StandardOpenOption}
import java.nio.file.attribute.PosixFilePermissions
import java.security.{DigestInputStream, MessageDigest}
import java.util.HexFormat

import scala.util.Using

import org.apache.spark.internal.Logging

import io.flambeau.conf.FlambeauConf

/**
 * Unpacks sets of files out of jars, once per machine.
 *
 * A set is described by an index resource: one line a file, "sha256 bytes name", files beside it. The target folder is
 * named by the hash of the index, so new content never meets old files. Executors that start together wait for one
 * another on a file lock; the folder appears by an atomic rename, complete or not at all.
 */
private[flambeau] object Unpacker extends Logging {

  private final case class Entry(sha256: String, bytes: Long, name: String)

  /** The folder with the set's files, or None if the class path has no such index. */
  def unpack(index: String, label: String): Option[Path] = resource(index).map { stream =>
    val text = Using.resource(stream)(in => new String(in.readAllBytes(), UTF_8))
    val hash = HexFormat.of().formatHex(MessageDigest.getInstance("SHA-256").digest(text.getBytes(UTF_8))).take(16)
    val target = baseDirectory().resolve(s"$label-$hash")
    if (!Files.isDirectory(target)) locked(target) {
      if (!Files.isDirectory(target)) {
        val entries = parse(index, text)
        val staging = Files.createTempDirectory(target.getParent, s".$label-")
        try {
          entries.foreach(copy(index.substring(0, index.lastIndexOf('/') + 1), _, staging))
          Files.move(staging, target, StandardCopyOption.ATOMIC_MOVE)
          logInfo(s"unpacked ${entries.size} files (${entries.map(_.bytes).sum} bytes) of $label to $target")
        } finally deleteFolder(staging)
      }
    }
    target
  }

  /** Where everything unpacked or fetched is kept: private to this user. */
  def baseDirectory(): Path = {
    val configured = NativeLibrary.setting(FlambeauConf.NativeDirectory)
    val base =
      if (configured.nonEmpty) Paths.get(configured)
      else Paths.get(System.getProperty("java.io.tmpdir"), s"flambeau-${System.getProperty("user.name")}")
    if (!Files.isDirectory(base)) {
      Files.createDirectories(base.getParent)
      try Files.createDirectory(base, PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------")))
      catch { case _: java.nio.file.FileAlreadyExistsException => () }
    }
    if (Files.getOwner(base).getName != System.getProperty("user.name")) {
      throw new IOException(s"$base belongs to ${Files.getOwner(base).getName}: set ${FlambeauConf.NativeDirectory.key} to a folder of your own")
    }
    base
  }

  /** Runs `body` while no other process or thread works on `target`. */
  def locked[T](target: Path)(body: => T): T = Unpacker.synchronized {
    val lock = target.resolveSibling(s".${target.getFileName}.lock")
    Using.resource(FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) { channel =>
      Using.resource(channel.lock())(_ => body)
    }
  }

  def deleteFolder(folder: Path): Unit = if (Files.isDirectory(folder)) {
    Using.resource(Files.list(folder))(_.forEach(file => if (Files.isDirectory(file)) deleteFolder(file) else Files.delete(file)))
    Files.delete(folder)
  }

  private def parse(index: String, text: String): Seq[Entry] = text.linesIterator.filter(_.nonEmpty).map { line =>
    line.split(" ", 3) match {
      case Array(sha256, bytes, name) if !name.contains("/") && !name.startsWith(".") => Entry(sha256, bytes.toLong, name)
      case _ => throw new IOException(s"$index has a line that is not 'sha256 bytes name': $line")
    }
  }.toSeq

  private def copy(folder: String, entry: Entry, staging: Path): Unit = {
    val stream = resource(folder + entry.name).getOrElse(throw new IOException(s"the class path lacks $folder${entry.name}"))
    val digest = MessageDigest.getInstance("SHA-256")
    Using.resource(new DigestInputStream(stream, digest))(Files.copy(_, staging.resolve(entry.name)))
    val actual = HexFormat.of().formatHex(digest.digest())
    if (actual != entry.sha256) throw new IOException(s"$folder${entry.name} is damaged: SHA-256 $actual, expected ${entry.sha256}")
  }

  /** Through the loader of our own class first (`--jars` puts both there), then the task's. */
  def resource(name: String): Option[InputStream] =
    Option(getClass.getClassLoader.getResourceAsStream(name))
      .orElse(Option(Thread.currentThread.getContextClassLoader).flatMap(loader => Option(loader.getResourceAsStream(name))))
}

package io.flambeau.files

import java.io.{InputStream, IOException}
import java.nio.channels.{Channels, FileChannel, FileLock}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, LinkOption, Path, Paths, StandardCopyOption, StandardOpenOption}
import java.security.MessageDigest
import java.util.concurrent.ConcurrentHashMap

import scala.util.Using

import org.apache.spark.internal.Logging

import io.flambeau.FlambeauException
import io.flambeau.conf.FlambeauConf

/**
 * Makes sets of files local, once per machine: from jars ([[unpack]]), or from any source that the caller can open ([[fetch]]).
 *
 * The target folder is named by the hash of the content's list, so new content never mixes with old files. Processes and threads
 * that start together wait for one another on a file lock; a killed task stops waiting within a tenth of a second. The folder
 * appears by an atomic rename, so it is always complete. Every file's hash is checked while it is copied. Processes that find the
 * folder check whether it is still complete ([[Inventory]]); files that are truncated, changed or missing are fetched again. The
 * next process that holds the lock removes incomplete files of killed processes. Complete folders are never removed: see
 * `spark.flambeau.native.directory` for their place.
 */
private[flambeau] object LocalCache extends Logging {

  /** A file to fetch: its name in the folder, and the hash of its content. */
  final case class Entry(sha256: String, name: String)

  private val PollMillis = 100L
  private val HashDigits = 32

  /** The folder with the set's files, or None if the class path has no such index ("sha256 bytes name", a line a file). */
  def unpack(index: String, label: String): Option[Path] = resource(index).map { stream =>
    val text = Using.resource(stream)(in => new String(in.readAllBytes(), UTF_8))
    val folder = index.substring(0, index.lastIndexOf('/') + 1)
    fetch(label, LocalFiles.sha256(text.getBytes(UTF_8)), parse(index, text), Long.MaxValue, index) { name =>
      resource(folder + name).getOrElse(throw new IOException(s"the class path lacks $folder$name"))
    }
  }

  /**
   * The folder `<label>-<hash>` on this machine, with its files fetched by `open` unless they are already there.
   *
   * @param hash
   *   of the content's list, hexadecimal
   * @param maxBytes
   *   of all files together
   * @param from
   *   for messages
   * @throws IOException
   *   if a file cannot be read, has another hash, or the set is larger than `maxBytes`
   */
  def fetch(label: String, hash: String, entries: Seq[Entry], maxBytes: Long, from: String)(open: String => InputStream): Path = {
    val target = folder(label, hash)
    if (!Inventory.holds(target, entries)) locked(target) {
      if (!Inventory.holds(target, entries)) {
        val started = System.nanoTime()
        val staging = target.resolveSibling(s".${target.getFileName}.part")
        writing {
          LocalFiles.deleteFolder(staging)
          Files.createDirectory(staging)
        }
        try {
          val bytes = entries.foldLeft(0L)((sofar, entry) => sofar + copy(entry, staging, maxBytes - sofar, from)(open))
          Inventory.write(staging, entries)
          writing {
            force(staging)
            replace(target, staging)
          }
          val millis = (System.nanoTime() - started) / 1000000
          logInfo(s"copied ${entries.size} files ($bytes bytes) of $from to $target in $millis ms")
        } finally LocalFiles.deleteFolder(staging)
      }
    }
    target
  }

  /** The folder of such a set, if it is here and complete; nothing is fetched. */
  def whole(label: String, hash: String, entries: Seq[Entry]): Option[Path] =
    Some(folder(label, hash)).filter(Inventory.holds(_, entries))

  /** Puts a complete folder in its place. The previous one was damaged; processes that have its files open keep them. */
  private def replace(target: Path, complete: Path): Unit = {
    if (Files.exists(target, LinkOption.NOFOLLOW_LINKS)) {
      logWarning(s"$target is damaged (files are missing or changed) and is unpacked again")
      val damaged = target.resolveSibling(s".${target.getFileName}.damaged")
      remove(damaged)
      Files.move(target, damaged, StandardCopyOption.ATOMIC_MOVE)
      remove(damaged)
    }
    Files.move(complete, target, StandardCopyOption.ATOMIC_MOVE)
    force(target.getParent)
  }

  private def remove(path: Path): Unit =
    if (Files.isDirectory(path, LinkOption.NOFOLLOW_LINKS)) LocalFiles.deleteFolder(path) else { Files.deleteIfExists(path); () }

  /** Waits until it is on disk: after a crash a renamed folder must not hold files that were never written. */
  private def force(folder: Path): Unit = Using.resource(FileChannel.open(folder, StandardOpenOption.READ))(_.force(true))

  /** Where [[fetch]] puts a set. */
  def folder(label: String, hash: String): Path = baseDirectory().resolve(s"$label-${hash.take(HashDigits)}")

  /** Where everything unpacked or fetched is kept: private to this user. */
  def baseDirectory(): Path = writing {
    configured.fold(PrivateFolder.in(temporary))(PrivateFolder.at)
  }

  private def configured: Option[Path] = Option(FlambeauConf.ofProcess(FlambeauConf.NativeDirectory)).filter(_.nonEmpty).map(Paths.get(_))

  private def temporary: Path = Paths.get(System.getProperty("java.io.tmpdir"))

  /** Errors in here are errors of the folder, not of the files that are fetched. */
  private def writing[T](body: => T): T =
    try body
    catch {
      case cause: DirectoryException => throw cause
      case cause: IOException => throw new DirectoryException(PrivateFolder.of(configured.getOrElse(temporary)), cause)
    }

  /** One lock for each target in this process; files are locked per process only. */
  private val threadLocks = new ConcurrentHashMap[Path, AnyRef]

  /** Runs `body` while no other process or thread works on `target`. Ends with Spark's own exception if the task is killed. */
  def locked[T](target: Path)(body: => T): T = {
    val lock = target.resolveSibling(s".${target.getFileName}.lock")
    threadLocks.computeIfAbsent(target, _ => new Object).synchronized {
      Using.resource(writing(FileChannel.open(lock, StandardOpenOption.CREATE, StandardOpenOption.WRITE, LinkOption.NOFOLLOW_LINKS))) { channel =>
        Using.resource(acquire(channel))(_ => body)
      }
    }
  }

  private def acquire(channel: FileChannel): FileLock =
    Iterator.continually(channel.tryLock()).find { held =>
      if (held == null) {
        LocalFiles.stopIfKilled()
        Thread.sleep(PollMillis)
      }
      held != null
    }.getOrElse(throw new IllegalStateException("unreachable: the iterator has no end"))

  private def parse(index: String, text: String): Seq[Entry] = text.linesIterator.filter(_.nonEmpty).map { line =>
    line.split(" ", 3) match {
      case Array(sha256, _, name) if !name.contains("/") && !name.startsWith(".") => Entry(sha256, name)
      case _ => throw new IOException(s"$index has a line that is not 'sha256 bytes name': $line")
    }
  }.toSeq

  /** @return the file's bytes */
  private def copy(entry: Entry, staging: Path, maxBytes: Long, from: String)(open: String => InputStream): Long =
    Using.Manager { use =>
      val in = use(open(entry.name))
      val file = use(writing(FileChannel.open(staging.resolve(entry.name), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)))
      val out = Channels.newOutputStream(file)
      val digest = MessageDigest.getInstance("SHA-256")
      var bytes = 0L
      LocalFiles.chunks(in) { (buffer, n) =>
        bytes += n
        if (bytes > maxBytes) {
          throw new IOException(s"$from has more bytes than ${FlambeauConf.ModelsMaxBytes.key} allows")
        }
        digest.update(buffer, 0, n)
        writing(out.write(buffer, 0, n))
      }
      writing(file.force(true))
      val actual = LocalFiles.hex(digest.digest())
      if (!actual.equalsIgnoreCase(entry.sha256)) {
        throw new IOException(s"${entry.name} of $from was altered or damaged: its SHA-256 is $actual, expected ${entry.sha256}")
      }
      bytes
    }.get

  /** Through the loader of our own class first (`--jars` puts both there), then the task's. */
  def resource(name: String): Option[InputStream] =
    Option(getClass.getClassLoader.getResourceAsStream(name))
      .orElse(Option(Thread.currentThread.getContextClassLoader).flatMap(loader => Option(loader.getResourceAsStream(name))))
}

/** The folder for libraries and models cannot be made or written. This is not an error of the model. */
private[flambeau] final class DirectoryException(folder: Path, cause: IOException)
    extends IOException(
      s"the folder for libraries and models, $folder, cannot be used: ${FlambeauException.describe(cause)}. " +
        s"Set ${FlambeauConf.NativeDirectory.key} to a folder that this user can write, with room for libtorch (350 MB) and the models",
      cause)

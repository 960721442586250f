package io.flambeau.files

import java.io.IOException
import java.nio.file.{Files, FileAlreadyExistsException, LinkOption, Path, Paths}
import java.nio.file.attribute.PosixFilePermissions

import scala.jdk.CollectionConverters._

import io.flambeau.conf.FlambeauConf

/**
 * A folder that only this process's user can write: libraries and programs are loaded from it.
 *
 * Users are identified by number, so it also works for a number without a name (OpenShift, `docker run --user 12345`). Symbolic
 * links are never followed, since another user could have put them there.
 */
private[flambeau] object PrivateFolder {

  private val WritableByOthers = Integer.parseInt("022", 8)
  private val Permissions = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"))

  /** The user numbers of this process, from the kernel: real, effective, saved, and of file accesses. */
  lazy val uid: Int = Files.readAllLines(Paths.get("/proc/self/status")).asScala.find(_.startsWith("Uid:"))
    .map(_.split("\\s+")(2).toInt).getOrElse(throw new IOException("/proc/self/status does not have the user of this process"))

  /** This user's own folder inside of a folder that others may write too, such as /tmp; made if it is missing. */
  def in(shared: Path): Path = {
    if (Files.exists(shared) && !Files.isDirectory(shared)) throw new FileAlreadyExistsException(shared.toString)
    val own = ownIn(shared)
    if (!Files.exists(own, LinkOption.NOFOLLOW_LINKS)) {
      try Files.createDirectory(own, Permissions)
      catch { case _: FileAlreadyExistsException => () }
    }
    refusal(own).foreach { why =>
      throw new IOException(s"$own $why: remove it, or set ${FlambeauConf.NativeDirectory.key} to a folder of your own")
    }
    own
  }

  /** The configured folder, made if it is missing, if only this user can write it; otherwise this user's own folder in it. */
  def at(asked: Path): Path = {
    if (!Files.isDirectory(asked)) {
      Files.createDirectories(asked.toAbsolutePath.getParent)
      try Files.createDirectory(asked, Permissions)
      catch { case _: FileAlreadyExistsException => () }
    }
    // The configured path may be a link.
    val real = asked.toRealPath()
    if (refusal(real).isEmpty) real else in(real)
  }

  /** The folder for messages: this user's own in `asked` if it exists, otherwise `asked`. */
  def of(asked: Path): Path = Some(ownIn(asked)).filter(Files.exists(_)).getOrElse(asked)

  private def ownIn(shared: Path): Path = shared.resolve(s"flambeau-$uid")

  /** Why the contents of this folder cannot be trusted. */
  private def refusal(folder: Path): Option[String] = {
    val found = Files.readAttributes(folder, "unix:uid,mode,isDirectory", LinkOption.NOFOLLOW_LINKS)
    val (owner, mode) = (found.get("uid").asInstanceOf[Int], found.get("mode").asInstanceOf[Int])
    if (found.get("isDirectory") != java.lang.Boolean.TRUE) Some("is not a folder")
    else if (owner != uid) Some(s"belongs to user $owner, and this process is user $uid")
    else if ((mode & WritableByOthers) != 0) Some(s"can be written by other users (mode ${(mode & 0xfff).toOctalString})")
    else None
  }
}

package io.flambeau.files

import java.io.IOException
import java.nio.file.{Files, FileAlreadyExistsException, LinkOption, Path, Paths}
import java.nio.file.attribute.PosixFilePermissions

import scala.jdk.CollectionConverters._

import io.flambeau.conf.FlambeauConf

/**
 * A folder that nobody but this process's user can write: libraries and programs that lie there are loaded into the process.
 *
 * Users are told apart by number: a process whose number has no name (OpenShift, `docker run --user 12345`) has a folder as
 * everyone else. Nothing here follows a symbolic link, which another user could have put in the place.
 */
private[flambeau] object PrivateFolder {

  private val WritableByOthers = Integer.parseInt("022", 8)
  private val Permissions = PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rwx------"))

  /** The number of the user that this process acts as, as the kernel says: real, effective, saved, of file accesses. */
  lazy val uid: Int = Files.readAllLines(Paths.get("/proc/self/status")).asScala.find(_.startsWith("Uid:"))
    .map(_.split("\\s+")(2).toInt).getOrElse(throw new IOException("/proc/self/status does not have the user of this process"))

  /** This user's own in a folder that others may write too, such as /tmp; made if it is not there. */
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

  /** The folder that was asked for, made if it is not there, where it is this user's alone; else this user's own in it. */
  def at(asked: Path): Path = {
    if (!Files.isDirectory(asked)) {
      Files.createDirectories(asked.toAbsolutePath.getParent)
      try Files.createDirectory(asked, Permissions)
      catch { case _: FileAlreadyExistsException => () }
    }
    // Whoever set it may have set a link.
    val real = asked.toRealPath()
    if (refusal(real).isEmpty) real else in(real)
  }

  /** The folder that messages name: this user's own in `asked` where that is there, else `asked`. */
  def of(asked: Path): Path = Some(ownIn(asked)).filter(Files.exists(_)).getOrElse(asked)

  private def ownIn(shared: Path): Path = shared.resolve(s"flambeau-$uid")

  /** Why what lies there may not be trusted. */
  private def refusal(folder: Path): Option[String] = {
    val found = Files.readAttributes(folder, "unix:uid,mode,isDirectory", LinkOption.NOFOLLOW_LINKS)
    val (owner, mode) = (found.get("uid").asInstanceOf[Int], found.get("mode").asInstanceOf[Int])
    if (found.get("isDirectory") != java.lang.Boolean.TRUE) Some("is not a folder")
    else if (owner != uid) Some(s"belongs to user $owner, and this process is user $uid")
    else Option.when((mode & WritableByOthers) != 0)(s"can be written by other users (mode ${(mode & 0xfff).toOctalString})")
  }
}

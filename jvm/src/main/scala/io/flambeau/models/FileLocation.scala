package io.flambeau.models

import java.io.{FileNotFoundException, InputStream, IOException}
import java.net.URI
import java.nio.ByteBuffer
import java.nio.channels.{NonWritableChannelException, SeekableByteChannel}
import java.nio.file.{Files, Path, Paths}

import org.apache.hadoop.fs.{FSDataInputStream, FileStatus, FileSystem, Path => HadoopPath}

/**
 * A file or folder: on this machine, on a Hadoop file system, or handed out by an MLflow server. Nothing is held open; a place is used
 * by one thread.
 *
 * Text without a scheme and `file:` URIs are local paths, whatever `fs.defaultFS` is. Any other scheme uses the Hadoop file
 * system of that scheme. Besides the server of [[MlflowModels]], there is no other access to a network.
 */
private[models] sealed trait FileLocation {
  def name: String
  def parent: Option[FileLocation]
  def child(name: String): FileLocation
  def isFile: Boolean
  def isFolder: Boolean
  def open(): InputStream

  /** For reading from any position. */
  def channel(): SeekableByteChannel

  /** Changes when the content does: size and time of the last change. */
  def version: String

  /** The path or URI that executors open, and that messages show. */
  def uri: String

  /** Whether this is `folder` or lies in it, symbolic links and `..` resolved. */
  def isIn(folder: FileLocation): Boolean

  def sibling(other: String): Option[FileLocation] = parent.map(_.child(other))

  final def descendant(path: Seq[String]): FileLocation = path.foldLeft(this)(_ child _)
}

private[models] object FileLocation {

  /** @throws IllegalArgumentException if it is neither a path nor a URI, or leaves its own root by `..` */
  def apply(text: String, hadoop: => HadoopSettings): FileLocation = {
    schemeOf(text) match {
      case None => LocalLocation(absolute(Paths.get(text)))
      case Some("file") =>
        val uri = URI.create(text)
        if (uri.getAuthority != null || uri.getPath == null) throw new IllegalArgumentException("a file: URI is file:/path, without a host")
        LocalLocation(absolute(Paths.get(uri.getPath)))
      case Some(_) =>
        val path = new HadoopPath(text)
        if (path.toUri.getPath.split('/').contains("..")) throw new IllegalArgumentException("'..' leads out of the file system")
        val fs = hadoop.fileSystem(path.toUri)
        HadoopLocation(fs, fs.makeQualified(path))
    }
  }

  /** The scheme of a URI in lower case; None for a path. */
  def schemeOf(text: String): Option[String] = """^([A-Za-z][A-Za-z0-9+.-]*):""".r.findFirstMatchIn(text).map(_.group(1).toLowerCase)

  private def absolute(path: Path): Path = path.toAbsolutePath.normalize
}

private[models] final case class LocalLocation(path: Path) extends FileLocation {
  override def name: String = Option(path.getFileName).fold("")(_.toString)
  override def parent: Option[FileLocation] = Option(path.getParent).map(LocalLocation)
  override def child(name: String): FileLocation = LocalLocation(path.resolve(name).normalize)
  override def isFile: Boolean = Files.isRegularFile(path)
  override def isFolder: Boolean = Files.isDirectory(path)
  override def open(): InputStream = Files.newInputStream(path)
  override def channel(): SeekableByteChannel = Files.newByteChannel(path)
  override def version: String = s"${Files.size(path)} ${Files.getLastModifiedTime(path).toMillis}"
  override def uri: String = path.toUri.toString.stripSuffix("/")

  override def isIn(folder: FileLocation): Boolean = folder match {
    case LocalLocation(other) => Files.exists(other) && path.toRealPath().startsWith(other.toRealPath())
    case _ => false
  }
}

private[models] final case class HadoopLocation(fs: FileSystem, path: HadoopPath) extends FileLocation {
  override def name: String = path.getName
  override def parent: Option[FileLocation] = Option(path.getParent).map(HadoopLocation(fs, _))
  override def child(name: String): FileLocation = HadoopLocation(fs, new HadoopPath(path, name))
  override def isFile: Boolean = status.exists(_.isFile)
  override def isFolder: Boolean = status.exists(_.isDirectory)
  override def open(): InputStream = fs.open(path)
  override def channel(): SeekableByteChannel = new HadoopChannel(fs.open(path), fs.getFileStatus(path).getLen)
  override def uri: String = path.toString

  override def version: String = {
    val current = fs.getFileStatus(path)
    s"${current.getLen} ${current.getModificationTime}"
  }

  override def isIn(folder: FileLocation): Boolean = folder match {
    case HadoopLocation(_, other) =>
      val (here, there) = (path.toUri, other.toUri)
      same(here.getScheme, there.getScheme) && same(here.getAuthority, there.getAuthority) &&
      segments(here).startsWith(segments(there))
    case _ => false
  }

  private def same(one: String, other: String): Boolean = Option(one).map(_.toLowerCase) == Option(other).map(_.toLowerCase)

  private def segments(uri: URI): Seq[String] = uri.getPath.split('/').filter(_.nonEmpty).toSeq

  private def status: Option[FileStatus] =
    try Some(fs.getFileStatus(path))
    catch { case _: FileNotFoundException => None }
}

/** An artifact that an MLflow server hands out, by its path there. The server says nothing about its version, and gives whole files only. */
private[models] final case class ArtifactLocation(server: MlflowServer, path: String) extends FileLocation {
  override def name: String = path.drop(path.lastIndexOf('/') + 1)
  override def parent: Option[FileLocation] = Some(path.lastIndexOf('/')).filter(_ > 0).map(slash => ArtifactLocation(server, path.take(slash)))
  override def child(name: String): FileLocation = ArtifactLocation(server, s"$path/$name")
  override def isFile: Boolean = isFolderInParent.contains(false)
  override def isFolder: Boolean = isFolderInParent.contains(true)
  override def open(): InputStream = server.open(path)
  override def channel(): SeekableByteChannel = wholeOnly()
  override def version: String = wholeOnly()
  override def uri: String = s"mlflow-artifacts:/$path"
  override def isIn(folder: FileLocation): Boolean = false

  private def isFolderInParent: Option[Boolean] = server.list(path.take(math.max(0, path.lastIndexOf('/')))).get(name)

  private def wholeOnly(): Nothing =
    throw new IOException(s"$uri is a single file, and $server gives packages as folders only: log the folder of the package")
}

/** A file of a Hadoop file system, read at any position. Owns the stream. */
private final class HadoopChannel(in: FSDataInputStream, length: Long) extends SeekableByteChannel {
  private var open = true

  override def read(target: ByteBuffer): Int = {
    val buffer = new Array[Byte](target.remaining)
    val n = in.read(buffer)
    if (n > 0) target.put(buffer, 0, n)
    n
  }

  override def position(): Long = in.getPos

  override def position(to: Long): SeekableByteChannel = {
    in.seek(to)
    this
  }

  override def size(): Long = length
  override def isOpen: Boolean = open
  override def write(source: ByteBuffer): Int = throw new NonWritableChannelException
  override def truncate(size: Long): SeekableByteChannel = throw new NonWritableChannelException

  override def close(): Unit = {
    open = false
    in.close()
  }
}

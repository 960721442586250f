package io.flambeau.models

import java.io.{ByteArrayInputStream, FileNotFoundException, InputStream, IOException}
import java.net.URI
import java.nio.charset.StandardCharsets.UTF_8
import java.util.concurrent.ConcurrentHashMap

import scala.jdk.CollectionConverters._
import scala.util.Using

import org.apache.commons.compress.archivers.zip.ZipArchiveEntry

import io.flambeau.files.LocalFiles
import io.flambeau.spark.{Archives, ClusterFiles}

/**
 * A package in its place: the text of its `model.toml`, and its files one by one. On the driver only the manifest and the
 * small files are read; a program is read on the driver in one case, a bare `.pt` whose description has no hash of it.
 */
private[models] sealed trait PackageSource extends PackageFiles {
  def location: FileLocation

  override def from: String = location.uri

  /** @throws IOException if it cannot be read, or is not a valid package */
  def manifest(): String
}

/** Files of a package that can be read one by one. */
private[models] sealed trait PackageFiles {

  /** Runs `body` with a function that opens files by name. The caller of that function closes the stream. */
  def withFiles[T](body: (String => InputStream) => T): T

  /** The name of the place in messages. */
  def from: String
}

/** A package that the driver serves, read on an executor. */
private[models] final class ServedPackage(base: String) extends PackageFiles {
  override def from: String = base
  override def withFiles[T](body: (String => InputStream) => T): T =
    body(name => ClusterFiles.open(base + new URI(null, null, s"/$name", null).getRawPath))
}

private[models] object PackageSource {
  val Descriptor = "model.toml"
  private val MaxManifestBytes = 1 << 20

  /** The package at this place, if there is one: a folder with `model.toml`, a `.zip`, or a `.pt` with a `.toml`. */
  def at(location: FileLocation): Option[PackageSource] =
    if (location.name.endsWith(".zip")) Some(location).filter(_.isFile).map(new ZippedPackage(_))
    else if (location.name.endsWith(".pt")) {
      location.sibling(location.name.stripSuffix(".pt") + ".toml").filter(toml => location.isFile && toml.isFile).map(new BareProgram(location, _))
    } else Some(location).filter(_.child(Descriptor).isFile).map(new PackageFolder(_))

  private[models] def text(stream: InputStream, what: String): String = Using.resource(stream) { in =>
    val bytes = in.readNBytes(MaxManifestBytes + 1)
    if (bytes.length > MaxManifestBytes) throw new IOException(s"$what is larger than $MaxManifestBytes bytes")
    new String(bytes, UTF_8)
  }
}

/** A folder. */
private[models] final class PackageFolder(val location: FileLocation) extends PackageSource {
  override def manifest(): String = PackageSource.text(location.child(PackageSource.Descriptor).open(), PackageSource.Descriptor)
  override def withFiles[T](body: (String => InputStream) => T): T = body(name => location.child(name).open())
}

/**
 * A `.zip` of a package, its files at the top or in its only folder. Nothing is unpacked by the archive's own paths: files
 * are read by the names that the manifest has. Archives with features that a package never needs are rejected.
 */
private[models] final class ZippedPackage(val location: FileLocation) extends PackageSource {
  private val MaxEntries = 10000

  override def manifest(): String = withFiles(open => PackageSource.text(open(PackageSource.Descriptor), PackageSource.Descriptor))

  override def withFiles[T](body: (String => InputStream) => T): T = Using.Manager { use =>
    val zip = use(Archives.zip(use(location.channel())))
    val entries = zip.getEntries.asScala.take(MaxEntries + 1).toSeq
    if (entries.length > MaxEntries) refuse(s"has more than $MaxEntries entries")
    entries.foreach(check)
    val files = entries.filterNot(_.isDirectory).groupBy(_.getName)
    files.values.find(_.length > 1).foreach(twice => refuse(s"has '${twice.head.getName}' twice"))
    val top = folder(files.keys.toSeq)
    body { name =>
      val entry = files.getOrElse(top + name, throw new FileNotFoundException(s"${location.uri} has no $top$name")).head
      zip.getInputStream(entry)
    }
  }.get

  private def folder(names: Seq[String]): String = {
    val found = names.filter(n => n == PackageSource.Descriptor || n.endsWith("/" + PackageSource.Descriptor) && n.count(_ == '/') == 1)
    if (found.contains(PackageSource.Descriptor)) ""
    else found match {
      case Seq(one) => one.stripSuffix(PackageSource.Descriptor)
      case Seq() => refuse(s"has no ${PackageSource.Descriptor}, neither at its top nor in its only folder")
      case several => refuse(s"has several packages (${several.sorted.mkString(", ")}), but must have one")
    }
  }

  private def check(entry: ZipArchiveEntry): Unit = {
    val name = entry.getName
    if (entry.isUnixSymlink) refuse(s"has a symbolic link, '$name'")
    if (name.startsWith("/") || name.contains("\\") || name.contains('\u0000') || name.split('/').contains("..")) {
      refuse(s"has an entry outside of it, '$name'")
    }
  }

  private def refuse(why: String): Nothing = throw new IOException(s"${location.uri} is not unpacked: it $why")
}

/** A bare TorchScript file with a description next to it: the manifest is made from both. */
private[models] final class BareProgram(val location: FileLocation, description: FileLocation) extends PackageSource {

  override def manifest(): String =
    PackageManifest.wrap(description.uri, PackageSource.text(description.open(), description.uri), location.name)(name => BareProgram.sha256(file(name)))

  override def withFiles[T](body: (String => InputStream) => T): T = body {
    case PackageSource.Descriptor => new ByteArrayInputStream(manifest().getBytes(UTF_8))
    case name => file(name).open()
  }

  private def file(name: String): FileLocation = {
    if (name.contains("/") || name.contains("\\") || name.startsWith(".")) {
      throw new IOException(s"${description.uri} names '$name', which is not a file beside it")
    }
    location.sibling(name).getOrElse(throw new FileNotFoundException(s"${location.uri} has no folder"))
  }
}

private object BareProgram {

  /** Hashes of files by place and version, so that a large program is read once, not in each analysis of a query. */
  private val hashes = new ConcurrentHashMap[String, String]

  def sha256(file: FileLocation): String = hashes.computeIfAbsent(s"${file.uri} ${file.version}", _ => LocalFiles.sha256(file.open()))
}

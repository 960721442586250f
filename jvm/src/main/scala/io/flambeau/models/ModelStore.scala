package io.flambeau.models

import java.io.{ByteArrayInputStream, InputStream, IOException}
import java.net.URI
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path, Paths}

import scala.util.control.NonFatal

import org.apache.spark.sql.internal.SQLConf

import io.flambeau.spark.ClusterFiles
import io.flambeau.{FlambeauAnalysisException, FlambeauException}
import io.flambeau.bridge.NativePackages
import io.flambeau.conf.{FlambeauConf, SettingsCheck}
import io.flambeau.files.{DirectoryException, LocalCache, LocalFiles}
import io.flambeau.models.PackageSource.Descriptor

/**
 * From a model's name to its files.
 *
 * On the driver, [[resolve]] turns what the user wrote into a [[ModelRef]]: a path or URI as given; otherwise that name under
 * `spark.flambeau.models.path`; otherwise the package of that name embedded in a jar. For `models:/` and `runs:/`, an MLflow server is asked
 * ([[MlflowModels]]). It reads the manifest and the small files each
 * time, so the next query notices a changed package.
 *
 * On executors, [[localDirectory]] makes the files local. They come from one of these places:
 *  - embedded in a jar: unpacked from there;
 *  - a Hadoop file system: read from there, with the driver's Hadoop settings;
 *  - an MLflow server: the driver downloads the files, and they go on as those of a local path;
 *  - a local path, if driver and executor are one process: a folder is used directly, a `.zip` or `.pt` is unpacked;
 *  - a local path of a cluster's driver: a folder with the same content at the same path is used (a shared file system).
 *    Otherwise the driver's file server sends the files from its disk to the executor's.
 *
 * What is fetched or unpacked is kept in one folder per machine and content ([[LocalCache]]). The native side checks the
 * content's hash again when it loads.
 */
object ModelStore {

  private val Embedded = "embedded:"
  private val Package = "package"
  private val Description = "description"

  /** @throws FlambeauAnalysisException FLAMBEAU_UNKNOWN_MODEL with the places that were searched, FLAMBEAU_BAD_MODEL, or FLAMBEAU_MLFLOW */
  def resolve(name: String, conf: SQLConf): ModelRef = {
    SettingsCheck.session(conf)
    lazy val hadoop = HadoopSettings.of(conf)
    val found =
      try {
        val source = locate(name.trim, conf, hadoop)
        AllowList.refusal(source.toOption.map(_.location), conf, hadoop).foreach(fail(name, _))
        source
      } catch {
        case cause: MlflowException => failMlflow(name, cause)
        case cause if isForeign(cause) => fail(name, FlambeauException.describe(cause), Some(cause))
      }
    try found.fold(embedded(name, _), source => reference(name, source, hadoop))
    catch {
      case cause: DirectoryException => throw FlambeauException.setup(s"model '$name': ${cause.getMessage}", cause)
      case cause: MlflowException => failMlflow(name, cause)
      case cause if isForeign(cause) =>
        val where = found.fold(Embedded + _, _.location.uri)
        throw new FlambeauAnalysisException(
          "FLAMBEAU_BAD_MODEL", s"model '$name' ($where) cannot be used: ${FlambeauException.describe(cause)}", Some(cause))
    }
  }

  /** Exceptions that are not Flambeau's own: a file system may throw anything, or lack a class. */
  private def isForeign(cause: Throwable): Boolean = cause match {
    case _: FlambeauAnalysisException | _: FlambeauException => false
    case NonFatal(_) | _: LinkageError => true
    case _ => false
  }

  /** The package's folder on this machine. */
  def localDirectory(ref: ModelRef): String =
    try directoryOf(ref)
    catch {
      case cause: DirectoryException => throw FlambeauException.setup(s"model '${ref.name}': ${cause.getMessage}", cause)
      case cause: IOException => failTask(ref, FlambeauException.describe(cause), cause)
    }

  private def directoryOf(ref: ModelRef): String = ref.origin match {
    case Origin.InPlace if ref.location.startsWith(Embedded) =>
      val name = ref.location.stripPrefix(Embedded)
      LocalCache.unpack(embeddedIndex(name), s"model-$name").map(_.toString).getOrElse(
        throw FlambeauException.setup(s"model '${ref.name}' was found in a jar on the driver but not here: is the Flambeau jar the same on all machines?", null))
    case Origin.InPlace =>
      val folder = Paths.get(new URI(ref.location))
      if (!Files.isDirectory(folder)) failTask(ref, s"$folder no longer exists", null)
      folder.toString
    case Origin.Folder(path) =>
      if (!Files.isDirectory(Paths.get(path))) failTask(ref, s"$path no longer exists", null)
      path
    case fetched: Origin.Fetched => sharedFolder(ref).getOrElse(fetch(ref, fetched)).toString
  }

  // ---- driver: what a name means

  /** A package in its folder, or the name of an embedded one. */
  private def locate(name: String, conf: SQLConf, hadoop: => HadoopSettings): Either[String, PackageSource] =
    if (name.isEmpty) fail(name, "the name is empty")
    else if (MlflowUri.is(name)) {
      val uri = MlflowUri(name)
      AllowList.refusal(uri, conf).foreach(fail(name, _))
      Right(MlflowModels.find(uri, conf, hadoop))
    } else if (name.contains("/") || name.contains(":")) {
      val location = FileLocation(name, hadoop)
      Right(PackageSource.at(location).getOrElse(fail(name, whyNot(location) + hints(Nil, conf, hadoop).forLocation(location))))
    } else if (name.startsWith(".")) fail(name, "a name does not begin with a dot; write ./ before a path")
    else {
      val folders = FlambeauConf.get(conf, FlambeauConf.ModelsPath)
      folders.iterator.flatMap(folder => named(FileLocation(folder, hadoop), name)).find(_ => true).map(Right(_))
        .orElse(LocalCache.resource(embeddedIndex(name)).map { stream => stream.close(); Left(name) })
        .getOrElse(fail(name, hints(folders, conf, hadoop).forName(name)))
    }

  private def hints(folders: Seq[String], conf: SQLConf, hadoop: => HadoopSettings) =
    new NameHints(folders, hadoop, AllowList.refusal(_, conf, hadoop).isEmpty)

  private def named(folder: FileLocation, name: String): Option[PackageSource] =
    Seq(name, s"$name.zip", s"$name.pt").iterator.flatMap(file => PackageSource.at(folder.child(file))).find(_ => true)

  private def whyNot(location: FileLocation): String =
    if (location.name.endsWith(".zip")) s"${location.uri} is not a file"
    else if (location.name.endsWith(".pt") && location.isFile) {
      s"${location.uri} needs a description of its inputs and outputs beside it, ${location.name.stripSuffix(".pt")}.toml"
    } else if (location.name.endsWith(".pt")) s"${location.uri} is not a file"
    else if (!location.isFolder) s"${display(location)} is not a folder"
    else s"${display(location)} has no $Descriptor"

  private def display(location: FileLocation): String = location match {
    case LocalLocation(path) => path.toString
    case other => other.uri
  }

  private def embedded(name: String, packageName: String): ModelRef = {
    val ref = ModelRef(name, Embedded + packageName, null)
    ref.copy(spec = describe(localDirectory(ref)))
  }

  private def reference(name: String, source: PackageSource, hadoop: => HadoopSettings): ModelRef = {
    val cluster = ClusterFiles.application().exists(!_.isLocal)
    (source, source.location) match {
      case (_: PackageFolder, LocalLocation(folder)) if !cluster => ModelRef(name, source.location.uri, describe(folder.toString))
      case (_: PackageFolder, LocalLocation(folder)) => shipped(name, source, folder)
      case (_, _: LocalLocation) if cluster => shipped(name, source, broughtHere(source))
      case (_, location: ArtifactLocation) =>
        val folder = broughtHere(source)
        if (cluster) shipped(name, source, folder)
        else ModelRef(name, location.uri, describe(folder.toString), Origin.Folder(folder.toString))
      case (_, location) =>
        val (manifest, listing) = read(source)
        val folder = LocalCache.whole(Package, listing.hash, entries(listing.hash, listing.files)).getOrElse(
          bring(Description, manifest, listing.hash, listing.files.filterNot(_.program), source))
        val settings = if (location.isInstanceOf[LocalLocation]) HadoopSettings.none else hadoop
        ModelRef(name, location.uri, describe(folder.toString), Origin.Fetched(manifest, listing.files, None, settings))
    }
  }

  private def broughtHere(source: PackageSource): Path = {
    val (manifest, listing) = read(source)
    bring(Package, manifest, listing.hash, listing.files, source)
  }

  /** A reference to `folder` of this machine, for machines that may not see it. */
  private def shipped(name: String, source: PackageSource, folder: Path): ModelRef = {
    val (manifest, listing) = read(new PackageFolder(LocalLocation(folder)))
    val key = s"flambeau-${LocalFiles.sha256(s"${listing.hash} $folder".getBytes(UTF_8)).take(32)}"
    val served = ClusterFiles.serve(key, folder.toFile)
    ModelRef(name, source.location.uri, describe(folder.toString), Origin.Fetched(manifest, listing.files, Some(served), HadoopSettings.none))
  }

  private def read(source: PackageSource): (String, PackageManifest.Listing) = {
    val manifest = source.manifest()
    (manifest, PackageManifest.list(source.location.uri, manifest))
  }

  private def describe(folder: String): ModelSpec = ModelSpec.fromJson(NativePackages.describe(folder))

  // ---- any machine: bringing the files

  /** The folder itself, where this machine sees it with the content that was planned. */
  private def sharedFolder(ref: ModelRef): Option[Path] =
    Some(ref.location).filter(_.startsWith("file:")).map(location => Paths.get(new URI(location))).filter { folder =>
      val descriptor = folder.resolve(Descriptor)
      Files.isRegularFile(descriptor) && LocalFiles.sha256(Files.newInputStream(descriptor)) == ref.spec.hash
    }

  private def fetch(ref: ModelRef, origin: Origin.Fetched): Path =
    LocalCache.whole(Package, ref.spec.hash, entries(ref.spec.hash, origin.files)).getOrElse {
      val source = origin.served match {
        case Some(base) => new ServedPackage(base)
        case None =>
          val location = FileLocation(ref.location, origin.hadoop)
          PackageSource.at(location).getOrElse(throw new IOException(whyNot(location)))
      }
      bring(Package, origin.manifest, ref.spec.hash, origin.files, source)
    }

  /** A package's files: `hash` is that of the manifest, which holds the hashes of the others. */
  private def entries(hash: String, files: Seq[PackageManifest.File]): Seq[LocalCache.Entry] =
    LocalCache.Entry(hash, Descriptor) +: files.map(file => LocalCache.Entry(file.sha256, file.name))

  private def bring(label: String, manifest: String, hash: String, files: Seq[PackageManifest.File], source: PackageFiles): Path =
    source.withFiles { open =>
      LocalCache.fetch(label, hash, entries(hash, files), maxBytes, source.from) {
        case Descriptor => new ByteArrayInputStream(manifest.getBytes(UTF_8)): InputStream
        case name => open(name)
      }
    }

  private def maxBytes: Long = FlambeauConf.ofProcess(FlambeauConf.ModelsMaxBytes)

  private def embeddedIndex(name: String) = s"flambeau/models/$name/package.index"

  private def fail(name: String, why: String, cause: Option[Throwable] = None): Nothing =
    throw new FlambeauAnalysisException("FLAMBEAU_UNKNOWN_MODEL", s"there is no model '$name': $why", cause)

  private def failMlflow(name: String, cause: MlflowException): Nothing =
    throw new FlambeauAnalysisException("FLAMBEAU_MLFLOW", s"model '$name' cannot be found: ${cause.getMessage}", Some(cause))

  private def failTask(ref: ModelRef, why: String, cause: Throwable): Nothing = {
    val text = s"model '${ref.name}' (${ref.location}) cannot be copied to this machine: $why. If the package changed, run the query again."
    throw new FlambeauException("FLAMBEAU_BAD_MODEL", text, Map("model" -> ref.name, "cause" -> why), cause)
  }
}

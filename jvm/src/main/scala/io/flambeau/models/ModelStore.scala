package io.flambeau.models

import java.net.URI
import java.nio.file.{Files, Path, Paths}

import scala.util.control.NonFatal

import org.apache.spark.sql.internal.SQLConf

import io.flambeau.FlambeauAnalysisException
import io.flambeau.bridge.{ModelSession, NativeException, Unpacker}
import io.flambeau.conf.FlambeauConf

/**
 * From a model's name to its files.
 *
 * On the driver, [[resolve]] turns what the user wrote into a [[ModelRef]]: a path or URI as given; else a folder of that
 * name under `spark.flambeau.models.path`; else the package of that name embedded in a jar. It reads the description only,
 * never the weights. On executors, [[localDirectory]] makes the files local: embedded packages are unpacked once per
 * machine, folders are used where they are. The content's hash is checked by the native side when it loads.
 */
object ModelStore {

  private val Embedded = "embedded:"
  private val Descriptor = "model.toml"

  def resolve(name: String, conf: SQLConf): ModelRef = {
    val location = locate(name.trim, conf)
    checkAllowed(name, location, conf)
    val ref = ModelRef(name, location, null)
    val spec =
      try ModelSpec.fromJson(ModelSession.describe(localDirectory(ref)))
      catch {
        case cause: NativeException =>
          throw new FlambeauAnalysisException("FLAMBEAU_BAD_MODEL", s"model '$name' ($location) cannot be used: ${cause.getMessage}", Some(cause))
      }
    ref.copy(spec = spec)
  }

  /** The package's folder on this machine. */
  def localDirectory(ref: ModelRef): String =
    if (ref.location.startsWith(Embedded)) {
      val name = ref.location.stripPrefix(Embedded)
      Unpacker.unpack(embeddedIndex(name), s"model-$name").map(_.toString).getOrElse(
        throw new IllegalStateException(s"model '${ref.name}' was found in a jar on the driver but not here: is the Flambeau jar the same on all machines?"))
    } else {
      val folder = Paths.get(new URI(ref.location))
      if (!Files.isDirectory(folder)) {
        throw new IllegalStateException(s"model '${ref.name}': $folder is not a folder on this machine; put the package where every machine sees it")
      }
      folder.toString
    }

  private def embeddedIndex(name: String) = s"flambeau/models/$name/package.index"

  private def locate(name: String, conf: SQLConf): String =
    if (name.isEmpty) fail(name, "the name is empty")
    else if (name.startsWith("file:")) folder(name, Paths.get(uri(name)))
    else if (name.contains(":")) fail(name, "only local paths and file: URIs are read")
    else if (name.contains("/")) folder(name, Paths.get(name))
    else {
      val folders = FlambeauConf.strings(conf, FlambeauConf.ModelsPath)
      folders.map(f => asPath(f).resolve(name)).find(f => Files.isRegularFile(f.resolve(Descriptor))).map(_.toUri.toString)
        .orElse(Unpacker.resource(embeddedIndex(name)).map { stream => stream.close(); Embedded + name })
        .getOrElse(fail(name, {
          val searched = folders.map(f => s"$f/$name") :+ "the packages embedded in jars"
          s"looked in ${searched.mkString(", ")}. Give a path, or set ${FlambeauConf.ModelsPath.key}"
        }))
    }

  private def folder(name: String, path: Path): String = {
    val absolute = path.toAbsolutePath.normalize
    if (!Files.isDirectory(absolute)) fail(name, s"$absolute is not a folder")
    if (!Files.isRegularFile(absolute.resolve(Descriptor))) fail(name, s"$absolute has no $Descriptor")
    absolute.toUri.toString
  }

  private def checkAllowed(name: String, location: String, conf: SQLConf): Unit = {
    val allowed = FlambeauConf.strings(conf, FlambeauConf.ModelsAllow)
    val ok = allowed.isEmpty || allowed.exists { prefix =>
      if (location.startsWith(Embedded)) prefix == "embedded"
      else prefix != "embedded" && Paths.get(new URI(location)).startsWith(asPath(prefix).toAbsolutePath.normalize)
    }
    if (!ok) fail(name, s"$location is outside of ${FlambeauConf.ModelsAllow.key} (${allowed.mkString(", ")})")
  }

  private def asPath(text: String): Path = if (text.startsWith("file:")) Paths.get(uri(text)) else Paths.get(text)

  private def uri(text: String): URI =
    try { val u = new URI(text); if (u.getAuthority == null) new URI("file", null, u.getPath, null) else u }
    catch { case NonFatal(cause) => fail(text, s"it is not a valid URI (${cause.getMessage})") }

  private def fail(name: String, why: String): Nothing =
    throw new FlambeauAnalysisException("FLAMBEAU_UNKNOWN_MODEL", s"there is no model '$name': $why")
}

package io.flambeau.models

import java.net.JarURLConnection
import java.nio.file.{Files, Paths}

import scala.jdk.CollectionConverters._
import scala.util.{Try, Using}
import scala.util.control.NonFatal

import io.flambeau.DidYouMean
import io.flambeau.conf.FlambeauConf

/**
 * Suggestions for a name or path that is not a model. Driver only, and only after a lookup has failed, since it lists folders. A
 * folder that cannot be listed is skipped; nothing here fails.
 *
 * @param allowed
 *   whether packages may come from this place; other places are not shown
 */
private[models] final class NameHints(folders: Seq[String], hadoop: => HadoopSettings, allowed: Option[FileLocation] => Boolean) {
  private val MostListed = 200
  private val MostShown = 20

  /** Where a plain name was looked up, and what is there. */
  def forName(name: String): String = {
    val packages = folders.filter(folder => quietly(false)(isPackage(FileLocation(folder, hadoop)))).map { folder =>
      s"${FlambeauConf.ModelsPath.key} has $folder, which is a package itself: set it to the folder that holds the package, or give '$folder' as the model. "
    }
    val here = Seq(name, s"$name.zip", s"$name.pt").find { file =>
      quietly(false)(Files.exists(Paths.get(file)) && allowed(Some(FileLocation(file, hadoop))))
    }.map(file => s"'$file' is in the working folder (${Paths.get("").toAbsolutePath}): write './$file'. ")
    val known = (folders.flatMap(folder => quietly(Seq.empty[String])(packagesIn(FileLocation(folder, hadoop)))) ++ embedded).distinct
    val searched = folders.map(folder => s"${folder.stripSuffix("/")}/$name") :+ "the packages embedded in jars"
    s"looked in ${searched.mkString(", ")}${DidYouMean.hint(name, known)}${listed(known)}. " +
      s"${packages.mkString}${here.mkString}Give a path, or set ${FlambeauConf.ModelsPath.key}"
  }

  /** The package next to this place with the most similar name. */
  def forLocation(location: FileLocation): String =
    quietly("")(DidYouMean.hint(location.name, location.parent.toSeq.flatMap(packagesIn)))

  private def listed(known: Seq[String]): String =
    if (known.isEmpty) ""
    else {
      val more = if (known.length > MostShown) s" and ${known.length - MostShown} more" else ""
      s" (models there: ${known.sorted.take(MostShown).mkString(", ")}$more)"
    }

  private def packagesIn(folder: FileLocation): Seq[String] =
    if (!allowed(Some(folder))) Nil
    else entries(folder).sorted.take(MostListed).filter(name => isPackage(folder.child(name))).map(_.stripSuffix(".zip").stripSuffix(".pt"))

  private def entries(folder: FileLocation): Seq[String] = folder match {
    case LocalLocation(path) => Using.resource(Files.list(path))(_.iterator.asScala.map(_.getFileName.toString).toSeq)
    case HadoopLocation(fs, path) => fs.listStatus(path).toSeq.map(_.getPath.getName)
    case _: ArtifactLocation => Nil
  }

  private def isPackage(location: FileLocation): Boolean = PackageSource.at(location).isDefined

  private def embedded: Seq[String] = if (!allowed(None)) Nil else quietly(Seq.empty[String])(NameHints.embedded)

  private def quietly[T](otherwise: T)(body: => T): T =
    try body
    catch { case NonFatal(_) => otherwise }
}

private[models] object NameHints {
  private val Folder = "flambeau/models/"
  private val Entry = s"$Folder([^/]+)/package\\.index".r

  /** The names of the packages in jars: those of our own loader, then of the thread's. */
  private def embedded: Seq[String] = {
    val loaders = Seq(getClass.getClassLoader) ++ Option(Thread.currentThread.getContextClassLoader)
    loaders.flatMap(_.getResources(Folder).asScala).distinct.flatMap { url =>
      if (url.getProtocol == "file") Using.resource(Files.list(Paths.get(url.toURI)))(_.iterator.asScala.map(_.getFileName.toString).toSeq)
      else Try(url.openConnection()).toOption.toSeq.collect { case jar: JarURLConnection => jar.getJarFile }
        .flatMap(_.entries.asScala.map(_.getName).collect { case Entry(name) => name })
    }.distinct
  }
}

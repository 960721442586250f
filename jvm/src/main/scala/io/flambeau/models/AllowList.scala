package io.flambeau.models

import java.net.URI
import java.nio.file.Path
import java.util.concurrent.ConcurrentHashMap

import scala.util.control.NonFatal

import org.apache.hadoop.fs.{Path => HadoopPath}
import org.apache.spark.sql.internal.SQLConf

import io.flambeau.FlambeauException
import io.flambeau.conf.FlambeauConf
import io.flambeau.spark.ClusterFiles

/**
 * `spark.flambeau.models.allow`: a model is a program, and this setting limits where programs come from. Driver only.
 *
 * Two lists apply at once: the application's, which no session can extend, and the session's own. They do not apply to models
 * trained by this driver: their programs are Flambeau's own, or come from a package that was allowed when training began.
 */
private[flambeau] object AllowList {
  private val Embedded = "embedded"
  private val trained = ConcurrentHashMap.newKeySet[Path]()

  /** Registers the package that a fit of this driver wrote. It stays there until the process ends. */
  def addTrained(folder: Path): Unit = trained.add(folder.toAbsolutePath.normalize)

  /** The application's list; empty where it allows all. */
  def ofApplication: Seq[String] =
    ClusterFiles.application().flatMap(_.getConf.getOption(FlambeauConf.ModelsAllow.key)).map(FlambeauConf.split(_)).getOrElse(Nil)

  /** Whether the application's list has folders on the file system of this URI, or there is no list. */
  def mentions(uri: URI): Boolean = {
    def same(one: String, other: String) = one == null || other == null || one.equalsIgnoreCase(other)
    ofApplication.isEmpty || ofApplication.filter(FileLocation.schemeOf(_).isDefined).exists { folder =>
      val listed = new HadoopPath(folder).toUri
      listed.getScheme.equalsIgnoreCase(uri.getScheme) && same(listed.getAuthority, uri.getAuthority)
    }
  }

  /** Why a package from this place (None: embedded in a jar) may not be used, or None if it may. */
  def refusal(location: Option[FileLocation], session: SQLConf, hadoop: => HadoopSettings): Option[String] =
    Seq(ofApplication, FlambeauConf.get(session, FlambeauConf.ModelsAllow)).filter(_.nonEmpty).flatMap(refusalBy(_, location, hadoop)).headOption

  /** Why a model of MLflow may not be asked for, or None if it may. Where its package is, is judged once that is known. */
  def refusal(uri: MlflowUri, session: SQLConf): Option[String] =
    Seq(ofApplication, FlambeauConf.get(session, FlambeauConf.ModelsAllow)).filter(_.nonEmpty).find(!_.exists(MlflowUri.covers(_, uri)))
      .map(list => s"${uri.text} is outside of ${FlambeauConf.ModelsAllow.key} (${list.mkString(", ")})")

  private def refusalBy(list: Seq[String], location: Option[FileLocation], hadoop: => HadoopSettings): Option[String] = {
    val unreachable = Seq.newBuilder[String]
    val allowed = location match {
      case None => list.contains(Embedded)
      // Of an MLflow server: its URI was checked before the server was asked.
      case Some(_: ArtifactLocation) => true
      case Some(LocalLocation(folder)) if trained.contains(folder) => true
      case Some(here) =>
        list.filter(folder => folder != Embedded && !MlflowUri.is(folder) && mayHold(folder, here)).exists { folder =>
          try here.isIn(FileLocation(folder, hadoop))
          catch {
            // That one cannot be asked is no reason to refuse what another one holds.
            case cause: Throwable if NonFatal(cause) || cause.isInstanceOf[LinkageError] =>
              unreachable += s"$folder (${FlambeauException.describe(cause)})"
              false
          }
        }
    }
    if (allowed) None
    else {
      val what = location.fold("it is embedded in a jar, which")(_.uri)
      val not = unreachable.result()
      Some(s"$what is outside of ${FlambeauConf.ModelsAllow.key} (${list.mkString(", ")})" +
        (if (not.isEmpty) "" else s"; these could not be reached: ${not.mkString(", ")}"))
    }
  }

  /** Whether the folder is on the kind of file system that the place is on; others are not even asked. */
  private def mayHold(folder: String, here: FileLocation): Boolean = {
    val scheme = FileLocation.schemeOf(folder).filter(_ != "file")
    here match {
      case _: LocalLocation => scheme.isEmpty
      case other => scheme.exists(s => FileLocation.schemeOf(other.uri).contains(s))
    }
  }
}

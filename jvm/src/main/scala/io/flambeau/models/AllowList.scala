package io.flambeau.models

import java.nio.file.Path
import java.util.concurrent.ConcurrentHashMap

import org.apache.spark.sql.internal.SQLConf

import io.flambeau.conf.FlambeauConf

/**
 * `spark.flambeau.models.allow`: a model is a program, and this bounds where programs come from. Driver only.
 *
 * Two lists hold at once: the application's, which no session can widen, and the session's own. What this driver trained is not
 * bound by them: its program is ours, or comes from a package that was allowed when training began.
 */
private[flambeau] object AllowList {
  private val Embedded = "embedded"
  private val trained = ConcurrentHashMap.newKeySet[Path]()

  /** Takes the package that a fit of this driver wrote, which lies there until the process ends. */
  def addTrained(folder: Path): Unit = trained.add(folder.toAbsolutePath.normalize)

  /** Why a package from this place (None: embedded in a jar) may not be used, or None if it may. */
  def refusal(place: Option[Place], session: SQLConf, hadoop: => HadoopSettings): Option[String] = {
    val key = FlambeauConf.ModelsAllow.key
    val application = ClusterFiles.application().flatMap(_.getConf.getOption(key)).map(FlambeauConf.split(_)).getOrElse(Nil)
    Seq(application, FlambeauConf.get(session, FlambeauConf.ModelsAllow)).find(list => list.nonEmpty && !allows(list, place, hadoop)).map {
      list => s"${place.fold("it is embedded in a jar, which")(_.uri)} is outside of $key (${list.mkString(", ")})"
    }
  }

  private def allows(list: Seq[String], place: Option[Place], hadoop: => HadoopSettings): Boolean = place match {
    case None => list.contains(Embedded)
    case Some(LocalPlace(folder)) if trained.contains(folder) => true
    case Some(here) => list.filter(_ != Embedded).exists(folder => here.isIn(Place(folder, hadoop)))
  }
}

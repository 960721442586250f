package io.flambeau.models

import scala.jdk.CollectionConverters._

import org.apache.hadoop.conf.Configuration
import org.apache.spark.sql.internal.SQLConf

/**
 * What the driver knows of Hadoop file systems, for executors: those settings that are not Hadoop's own defaults, among them
 * what a session set (`SET fs.s3a.…`). They may hold credentials, so they never show in text.
 */
private[flambeau] final class HadoopSettings(private val values: Map[String, String]) extends Serializable {

  /** For this process: its own settings, these on top. */
  def configuration(): Configuration = {
    val conf = ClusterFiles.hadoopConfiguration()
    values.foreach { case (key, value) => conf.set(key, value) }
    conf
  }

  override def toString: String = s"HadoopSettings(${values.size} settings)"
}

private[flambeau] object HadoopSettings {

  val none: HadoopSettings = new HadoopSettings(Map.empty)

  /** The running application's, and the session's on top, as Spark itself does for data sources. Driver only. */
  def of(session: SQLConf): HadoopSettings = {
    val base = ClusterFiles.application().map(_.hadoopConfiguration).getOrElse(ClusterFiles.hadoopConfiguration())
    val own = base.asScala.map(_.getKey).filterNot(isDefault(base, _)).flatMap(key => Option(base.getRaw(key)).map(key -> _)).toMap
    new HadoopSettings(own ++ session.getAllConfs.filterNot { case (key, _) => key.startsWith("spark.") })
  }

  private def isDefault(conf: Configuration, key: String): Boolean =
    Option(conf.getPropertySources(key)).flatMap(_.lastOption).exists(_.endsWith("-default.xml"))
}

package io.flambeau.models

import java.io.IOException
import java.net.URI
import java.util.concurrent.ConcurrentHashMap

import scala.jdk.CollectionConverters._

import org.apache.hadoop.conf.Configuration
import org.apache.hadoop.fs.{FileSystem, Path}
import org.apache.spark.sql.internal.SQLConf

import io.flambeau.conf.FlambeauConf
import io.flambeau.spark.ClusterFiles

/**
 * What the driver knows of Hadoop file systems, for executors: those settings that are not Hadoop's own defaults, among them
 * what a session set (`SET fs.s3a.…`). They may hold credentials, so they never show in text.
 *
 * Where the application bounds models to a list of folders, sessions have no say: `SET fs.hdfs.impl=…`, a mount table or another
 * endpoint would make an allowed URI mean any folder.
 *
 * @param isApplications
 *   whether no session had a say
 */
private[flambeau] final class HadoopSettings(private val values: Map[String, String], isApplications: Boolean) extends Serializable {

  /** For this process: its own settings, overridden by these. */
  def configuration(): Configuration = {
    val conf = ClusterFiles.hadoopConfiguration()
    values.foreach { case (key, value) => conf.set(key, value) }
    conf
  }

  /**
   * The file system of a URI. Hadoop caches one instance, with the settings of its first user, which may have been a session. So
   * the application's settings get their own instances.
   */
  def fileSystem(uri: URI): FileSystem =
    if (!isApplications) FileSystem.get(uri, configuration())
    else if (!AllowList.mentions(uri)) throw new IOException(s"$uri is outside of ${FlambeauConf.ModelsAllow.key}")
    else HadoopSettings.own(uri, configuration())

  /** The file system of a path to read, which was compared with a list already; `conf` is [[configuration]]. */
  def fileSystemOf(path: Path, conf: Configuration): FileSystem =
    if (!isApplications) path.getFileSystem(conf)
    else HadoopSettings.own(if (path.toUri.getScheme == null) FileSystem.getDefaultUri(conf) else path.toUri, conf)

  override def toString: String = s"HadoopSettings(${values.size} settings)"
}

private[flambeau] object HadoopSettings {

  val none: HadoopSettings = new HadoopSettings(Map.empty, isApplications = false)

  /** By scheme and authority, until the process ends: as many as the application's lists name. */
  private val instances = new ConcurrentHashMap[String, FileSystem]

  private def own(uri: URI, conf: Configuration): FileSystem =
    instances.computeIfAbsent(s"${uri.getScheme}://${uri.getAuthority}", _ => FileSystem.newInstance(uri, conf))

  /** The running application's, and the session's on top, as Spark itself does for data sources, unless a list bounds it. Driver only. */
  def of(session: SQLConf): HadoopSettings = of(session, bounded = AllowList.ofApplication.nonEmpty)

  /** As above; `bounded`: whether a list of the application bounds what is read. */
  def of(session: SQLConf, bounded: Boolean): HadoopSettings = {
    val base = ClusterFiles.application().map(_.hadoopConfiguration).getOrElse(ClusterFiles.hadoopConfiguration())
    val own = base.asScala.map(_.getKey).filterNot(isDefault(base, _)).flatMap(key => Option(base.getRaw(key)).map(key -> _)).toMap
    if (bounded) new HadoopSettings(own, isApplications = true)
    else new HadoopSettings(own ++ session.getAllConfs.filterNot { case (key, _) => key.startsWith("spark.") }, isApplications = false)
  }

  private def isDefault(conf: Configuration, key: String): Boolean =
    Option(conf.getPropertySources(key)).flatMap(_.lastOption).exists(_.endsWith("-default.xml"))
}

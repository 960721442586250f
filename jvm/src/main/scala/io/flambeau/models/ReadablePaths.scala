package io.flambeau.models

import java.io.IOException
import java.nio.file.Paths

import org.apache.hadoop.fs.{FileSystem, Path => HadoopPath}
import org.apache.spark.sql.internal.SQLConf

import io.flambeau.conf.FlambeauConf
import io.flambeau.spark.ClusterFiles

/**
 * `spark.flambeau.read.allow`: the folders whose files `read_bytes` may read with the application's rights. Made on the driver,
 * judged on executors.
 *
 * @param lists
 *   the application's list and the session's; a file must be in a folder of each. None: all files may be read
 */
private[flambeau] final case class ReadablePaths(lists: Seq[Seq[String]], hadoop: HadoopSettings) {

  private def refuse(place: String): Nothing =
    throw new IOException(s"$place is outside of ${FlambeauConf.ReadAllow.key} (${lists.map(_.mkString(", ")).mkString("; ")})")

  /**
   * Whether the lists have folders on the path's file system: others are not even connected to. A path without a scheme is on Hadoop's
   * default file system, which the application chose.
   */
  def checkFileSystem(path: HadoopPath): Unit = {
    val uri = path.toUri
    def same(one: String, other: String) = one == null || other == null || one.equalsIgnoreCase(other)
    def isOn(folder: String): Boolean = {
      val listed = new HadoopPath(folder).toUri
      Option(listed.getScheme).getOrElse("file").equalsIgnoreCase(uri.getScheme) && same(listed.getAuthority, uri.getAuthority)
    }
    if (uri.getScheme != null && !lists.forall(_.exists(isOn))) refuse(path.toString)
  }

  /**
   * The path to open: the same one, or where symbolic links of a local path lead.
   *
   * @throws IOException
   *   if it is not in the folders of every list
   */
  def resolve(fs: FileSystem, path: HadoopPath): HadoopPath =
    if (lists.isEmpty) path
    else {
      val here = if (path.toUri.getScheme == "file") LocalLocation(Paths.get(path.toUri.getPath).toRealPath()) else HadoopLocation(fs, path)
      if (!lists.forall(_.exists(folder => ReadablePaths.mayHold(folder, here) && here.isIn(FileLocation(folder, hadoop))))) refuse(path.toString)
      here match {
        case LocalLocation(real) => new HadoopPath(real.toUri)
        case _ => path
      }
    }
}

private[flambeau] object ReadablePaths {

  /** Driver only. */
  def of(session: SQLConf): ReadablePaths = {
    val lists = Seq(ofApplication, FlambeauConf.get(session, FlambeauConf.ReadAllow)).filter(_.nonEmpty).distinct
    ReadablePaths(lists, HadoopSettings.of(session, bounded = ofApplication.nonEmpty))
  }

  /** The application's list; empty where it allows all. */
  private def ofApplication: Seq[String] =
    ClusterFiles.application().flatMap(_.getConf.getOption(FlambeauConf.ReadAllow.key)).map(FlambeauConf.split(_)).getOrElse(Nil)

  private def mayHold(folder: String, here: FileLocation): Boolean =
    FileLocation.schemeOf(folder).filter(_ != "file") == FileLocation.schemeOf(here.uri).filter(_ != "file")
}

package io.flambeau.ml

import java.net.URI
import java.nio.file.{FileAlreadyExistsException, Files, Path => LocalPath, Paths}

import scala.collection.concurrent.TrieMap
import scala.jdk.CollectionConverters._
import scala.util.Using

import org.apache.commons.io.FileUtils
import org.apache.hadoop.fs.{FileUtil, Path}
import org.apache.spark.ml.param.ParamMap
import org.apache.spark.ml.util.{MLReader, MLWriter}
import org.apache.spark.sql.SparkSession

import io.flambeau.files.LocalFiles
import io.flambeau.models.ModelStore

/**
 * Saving and loading of stages with their model. Driver only, any thread.
 *
 * A saved stage is a folder on any Hadoop file system: `metadata` as Spark writes it and, unless `savePackage` is false,
 * `package` with the files of the model package. The model of a loaded stage is that copy: its name is then the copy's URI,
 * so nothing depends on where the model was when the stage was saved. Without the copy a path is saved as an absolute URI, a
 * plain name as it is.
 */
private[ml] object SavedPackage {
  private val Folder = "package"
  private val Descriptor = "model.toml"

  def writer(stage: ModelStage): MLWriter = new MLWriter {
    override protected def saveImpl(path: String): Unit = {
      // Before anything is written: if the model is missing, no files are left.
      val source = if (stage.carriesPackage) stage.get(stage.modelParam).map(localFolder(_, sparkSession)) else None
      portable(stage).paramsWriter.session(sparkSession).save(path)
      source.foreach(folder => copyFolder(folder, new Path(path, Folder), sparkSession))
    }

  }

  /** Copies a model's package into a new folder of any Hadoop file system; fails if there is something already. */
  def copy(model: String, to: String, session: SparkSession): Unit = {
    val hadoop = session.sparkContext.hadoopConfiguration
    val target = new Path(to)
    if (target.getFileSystem(hadoop).exists(target)) throw new FileAlreadyExistsException(s"$to already exists")
    copyFolder(localFolder(model, session), target, session)
  }

  private def localFolder(model: String, session: SparkSession): LocalPath =
    Kept.of(model).getOrElse(Paths.get(ModelStore.localDirectory(ModelStore.resolve(model, ModelStage.confOf(session)))))

  private def copyFolder(from: LocalPath, to: Path, session: SparkSession): Unit = {
    val hadoop = session.sparkContext.hadoopConfiguration
    val target = to.getFileSystem(hadoop)
    filesOf(from).foreach { file =>
      FileUtil.copy(from.resolve(file).toFile, target, new Path(to, file.toString), false, hadoop)
    }
  }

  def reader[T <: ModelStage](params: MLReader[T]): MLReader[T] = new MLReader[T] {
    override def load(path: String): T = {
      val stage = params.session(sparkSession).load(path)
      val folder = new Path(path, Folder)
      val files = folder.getFileSystem(sparkSession.sparkContext.hadoopConfiguration)
      if (files.exists(new Path(folder, Descriptor))) {
        val location = files.makeQualified(folder).toUri
        Kept.keep(location)
        stage.set(stage.modelParam, location.toString)
      }
      stage
    }
  }

  /** The stage as its parameters are written: a relative path means nothing elsewhere. */
  private def portable(stage: ModelStage): ModelStage = stage.get(stage.modelParam) match {
    case Some(model) if model.contains("/") && !model.contains(":") =>
      val same = stage.copy(ParamMap.empty).asInstanceOf[ModelStage]
      same.set(same.modelParam, Paths.get(model).toAbsolutePath.normalize.toUri.toString)
    case _ => stage
  }

  /** The files below a package's folder, relative to it. Hidden ones are not part of the package: Hadoop uses them for its checksums. */
  private def filesOf(folder: LocalPath): Seq[LocalPath] =
    Using.resource(Files.walk(folder)) { paths =>
      paths.iterator.asScala.filter(path => Files.isRegularFile(path) && !path.getFileName.toString.startsWith("."))
        .map(folder.relativize).toList
    }

  /**
   * The packages of stages that this process loaded from local folders, as hard links. `write.overwrite` deletes the old files
   * before the stages save themselves, so a pipeline that is loaded, fitted again and saved to the same folder would lose its
   * models.
   */
  private object Kept {
    private val folders = TrieMap.empty[String, LocalPath]

    /** The kept files of a model that is not at this URI any more. */
    def of(model: String): Option[LocalPath] =
      folders.get(model).filterNot(_ => Files.exists(Paths.get(new URI(model)).resolve(Descriptor)))

    def keep(location: URI): Unit = if (location.getScheme == "file") {
      val source = Paths.get(location)
      val folder = Files.createTempDirectory("flambeau-package")
      filesOf(source).foreach { file =>
        Files.createDirectories(folder.resolve(file).getParent)
        LocalFiles.link(source.resolve(file), folder.resolve(file))
      }
      FileUtils.forceDeleteOnExit(folder.toFile)
      folders.put(location.toString, folder).foreach(before => FileUtils.deleteQuietly(before.toFile))
    }
  }
}

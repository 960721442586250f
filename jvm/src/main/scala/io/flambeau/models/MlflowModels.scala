package io.flambeau.models

import java.io.IOException
import java.net.URI

import scala.jdk.CollectionConverters._

import com.fasterxml.jackson.databind.JsonNode
import org.apache.spark.sql.internal.SQLConf

import io.flambeau.FlambeauAnalysisException

/**
 * From a URI of MLflow to the package it means. Driver only.
 *
 * The server says where the artifacts are. If it hands them out itself (`mlflow-artifacts:`), the driver downloads the package into the
 * cache of its machine. Anywhere else (a disk, S3, HDFS) the package is used like any other of that place.
 *
 * A package is `flambeau.mlflow.log_model`'s, in the folder `package` of an MLflow model, or a package that was logged as it is
 * (`mlflow.log_artifacts`).
 */
private[models] final class MlflowModels(server: MlflowServer, hadoop: => HadoopSettings) {
  import MlflowModels._

  /**
   * @throws FlambeauAnalysisException
   *   FLAMBEAU_BAD_MODEL for a model of MLflow that holds another library's model
   * @throws MlflowException
   *   if the server cannot be asked
   * @throws java.io.IOException
   *   if there is no such model, version or run
   */
  def find(uri: MlflowUri): PackageSource = {
    val roots = rootsOf(uri)
    roots.iterator.flatMap(root => Iterator(root.child(Folder), root)).flatMap(PackageSource.at(_)).find(_ => true).getOrElse {
      roots.find(_.child(Description).isFile).foreach { root =>
        throw new FlambeauAnalysisException(
          "FLAMBEAU_BAD_MODEL",
          s"model '${uri.text}' (${root.uri}) is a model of MLflow, but has no Flambeau package: log it with flambeau.mlflow.log_model")
      }
      throw new IOException(missing(roots.last))
    }
  }

  /** Where it may be, the most probable place first. */
  private def rootsOf(uri: MlflowUri): Seq[FileLocation] = uri match {
    case MlflowUri.OfVersion(_, name, version) => Seq(ofVersion(name, version))
    case MlflowUri.OfAlias(_, name, alias) =>
      val found = known(server.get("registered-models/alias", "name" -> name, "alias" -> alias))
      Seq(ofVersion(name, found.path("model_version").path("version").asText))
    case MlflowUri.Latest(_, name, stage) => Seq(ofVersion(name, latest(name, stage)))
    case MlflowUri.Logged(_, id) => Seq(place(known(server.get(s"logged-models/${encoded(id)}")).path("model").path("info").path("artifact_uri").asText))
    case MlflowUri.InRun(_, run, path) =>
      val info = known(server.get("runs/get", "run_id" -> run)).path("run").path("info")
      logged(info.path("experiment_id").asText, run, path.head).map(place(_).descendant(path.tail)) :+
        place(info.path("artifact_uri").asText).descendant(path)
  }

  private def ofVersion(name: String, version: String): FileLocation =
    place(known(server.get("model-versions/get-download-uri", "name" -> name, "version" -> version)).path("artifact_uri").asText)

  private def latest(name: String, stage: Option[String]): String = {
    val found = known(server.post("registered-models/get-latest-versions", LatestVersions(name, stage.toSeq)))
    val versions = found.path("model_versions").elements.asScala.map(_.path("version").asText.toLong).toSeq
    if (versions.isEmpty) throw new IOException(s"the registered model '$name' has no version${stage.fold("")(one => s" in the stage '$one'")}")
    versions.max.toString
  }

  /** The places of the models that a run logged under this name. Servers before MLflow 3 have none. */
  private def logged(experiment: String, run: String, name: String): Seq[String] =
    if (name.contains('\'') || run.contains('\'')) Nil
    else {
      val asked = LoggedModels(Seq(experiment), s"name = '$name' AND source_run_id = '$run'")
      val answer =
        try server.post("logged-models/search", asked).toOption
        catch { case _: MlflowException => None }
      answer.toSeq.flatMap(_.path("models").elements.asScala).map(_.path("info").path("artifact_uri").asText).filter(_.nonEmpty)
    }

  private def known(answer: Either[String, JsonNode]): JsonNode = answer.fold(why => throw new IOException(s"$server says: $why"), identity)

  /** The place of an artifact by the URI that the server gave for it. */
  private def place(uri: String): FileLocation = FileLocation.schemeOf(uri) match {
    case Some(Proxied) => ArtifactLocation(server, ofServer(uri, new URI(null, null, "/", null)))
    case Some("http" | "https") => ArtifactLocation(server, ofServer(uri, new URI(s"${server.base}$ArtifactsPath")))
    // MLflow's own client writes to S3 under a scheme that only some distributions of Hadoop know.
    case Some("s3") if hadoop.configuration().get("fs.s3.impl") == null => FileLocation(s"s3a:${uri.drop("s3:".length)}", hadoop)
    case _ => FileLocation(uri, hadoop)
  }

  /** The path of an artifact below `top`, which must be this server's. */
  private def ofServer(uri: String, top: URI): String = {
    val artifact = new URI(uri.replace(" ", "%20"))
    val foreign = Option(artifact.getAuthority).exists(_ != new URI(server.base).getAuthority) || !artifact.getPath.startsWith(top.getPath)
    if (foreign) throw new MlflowException(s"$server keeps the artifacts on another server (${artifact.getAuthority}), which Flambeau does not ask")
    artifact.getPath.drop(top.getPath.length).stripPrefix("/")
  }

  private def missing(root: FileLocation): String = root match {
    case LocalLocation(path) if !root.isFolder =>
      s"$server says that it is in $path, and this machine has no such folder. Start the server with --artifacts-destination, so that it hands out its " +
        "artifacts, or use a folder that all machines see"
    case _ => s"${root.uri} has no model.toml, neither itself nor in a folder '$Folder'"
  }

  private def encoded(segment: String): String = new URI(null, null, s"/$segment", null).getRawPath.drop(1)
}

private[models] object MlflowModels {

  /** Asks for the newest version in each of these stages; in every stage if there are none. */
  private final case class LatestVersions(name: String, stages: Seq[String]) extends MlflowServer.Body

  /** Asks for the logged models of some experiments. */
  private final case class LoggedModels(experimentIds: Seq[String], filter: String) extends MlflowServer.Body

  private val Proxied = "mlflow-artifacts"
  private val ArtifactsPath = "/api/2.0/mlflow-artifacts/artifacts"

  /** Where `flambeau.mlflow.log_model` puts the package; python/flambeau/mlflow/_flavor.py has the same name. */
  private val Folder = "package"

  /** What every model of MLflow has. */
  private val Description = "MLmodel"

  def find(uri: MlflowUri, conf: SQLConf, hadoop: => HadoopSettings): PackageSource = new MlflowModels(MlflowServer.of(conf), hadoop).find(uri)
}

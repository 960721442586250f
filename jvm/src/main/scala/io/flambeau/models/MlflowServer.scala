package io.flambeau.models

import java.io.{FileNotFoundException, InputStream, IOException}
import java.net.{HttpURLConnection, URI, URISyntaxException, URLEncoder}
import java.nio.charset.StandardCharsets.UTF_8
import java.util.Base64

import scala.jdk.CollectionConverters._
import scala.util.Try

import com.fasterxml.jackson.databind.JsonNode
import org.apache.spark.SparkEnv
import org.apache.spark.sql.internal.SQLConf

import io.flambeau.FlambeauException
import io.flambeau.bridge.Json
import io.flambeau.conf.FlambeauConf

/** The MLflow server cannot be used: it is not set, cannot be reached, or refuses. The message never has credentials. */
private[models] final class MlflowException(text: String, cause: Throwable = null) extends IOException(text, cause)

/**
 * An MLflow tracking server, over its REST API. Driver only: executors get files from the driver or from the file system where MLflow
 * keeps them.
 *
 * Credentials are those of the driver's environment, as MLflow's own client takes them. A session may name a server, so they are only sent
 * to the one that the application was started with: otherwise a SQL user could have them sent anywhere. Redirects are not followed, for
 * the same reason.
 *
 * @param base
 *   without a slash at its end
 * @param authorization
 *   the header's value
 */
private[models] final class MlflowServer(val base: String, authorization: Option[String]) {
  import MlflowServer._

  /** The server's answer, or its reason why there is no such thing. */
  def get(path: String, query: (String, String)*): Either[String, JsonNode] =
    answer(s"$Api/mlflow/$path${query.map { case (key, value) => s"$key=${URLEncoder.encode(value, "UTF-8")}" }.mkString("?", "&", "")}", None)

  def post(path: String, body: Body): Either[String, JsonNode] = answer(s"$Api/mlflow/$path", Some(Json.write(body)))

  /** Name -> whether it is a folder, of what is in a folder of the server's artifacts; empty if there is no such folder. */
  def list(folder: String): Map[String, Boolean] =
    answer(s"$Api/mlflow-artifacts/artifacts?path=${URLEncoder.encode(folder, "UTF-8")}", None).fold(_ => Map.empty,
      _.path("files").elements.asScala.map(file => file.path("path").asText -> file.path("is_dir").asBoolean).toMap)

  /** The content of an artifact. The caller closes it. */
  def open(artifact: String): InputStream = {
    val connection = connect(s"$Api/mlflow-artifacts/artifacts${new URI(null, null, s"/$artifact", null).getRawPath}", None)
    reaching(connection.getResponseCode) match {
      case HttpURLConnection.HTTP_OK => connection.getInputStream
      case status => throw refused(connection, status).fold(identity, why => new FileNotFoundException(s"$artifact: $why"))
    }
  }

  private def answer(path: String, body: Option[String]): Either[String, JsonNode] = {
    val connection = connect(path, body)
    reaching(connection.getResponseCode) match {
      case HttpURLConnection.HTTP_OK =>
        val text = reaching(PackageSource.text(connection.getInputStream, s"the answer of $base"))
        Right(parse(text).getOrElse(throw new MlflowException(s"$base does not answer as an MLflow server does. $Advice")))
      case status => refused(connection, status).fold[Either[String, JsonNode]](throw _, Left(_))
    }
  }

  private def connect(path: String, body: Option[String]): HttpURLConnection = reaching {
    val connection = URI.create(base + path).toURL.openConnection().asInstanceOf[HttpURLConnection]
    connection.setConnectTimeout(ConnectMillis)
    connection.setReadTimeout(ReadMillis)
    connection.setInstanceFollowRedirects(false)
    authorization.foreach(connection.setRequestProperty("Authorization", _))
    body.foreach { text =>
      connection.setDoOutput(true)
      connection.setRequestProperty("Content-Type", "application/json")
      connection.getOutputStream.write(text.getBytes(UTF_8))
    }
    connection
  }

  /** Why there is no such thing, or the failure. */
  private def refused(connection: HttpURLConnection, status: Int): Either[MlflowException, String] = {
    val said = Option(connection.getErrorStream).flatMap(stream => Try(PackageSource.text(stream, "")).toOption).flatMap(parse)
    val message = said.map(_.path("message").asText).filter(_.nonEmpty)
    (status, said.map(_.path("error_code").asText).getOrElse(""), message) match {
      case (HttpURLConnection.HTTP_UNAUTHORIZED | HttpURLConnection.HTTP_FORBIDDEN, _, _) =>
        val without = if (authorization.isEmpty) "no credentials were sent" else "these credentials may not read it"
        Left(new MlflowException(s"$base refuses (HTTP $status; $without). $CredentialsAdvice"))
      case (_, "RESOURCE_DOES_NOT_EXIST" | "INVALID_PARAMETER_VALUE", Some(why)) => Right(why)
      case (_, code, Some(why)) if code.nonEmpty => Left(new MlflowException(s"$base answers with an error (HTTP $status): $why"))
      case _ if status / 100 == 3 => Left(new MlflowException(s"$base answers with a redirect (HTTP $status). Name the server itself: $Advice"))
      case _ => Left(new MlflowException(s"$base does not answer as an MLflow server does (HTTP $status). $Advice"))
    }
  }

  private def parse(text: String): Option[JsonNode] = Try(Json.read(text)).toOption.filter(_.isObject)

  private def reaching[T](body: => T): T =
    try body
    catch {
      case cause: MlflowException => throw cause
      case cause: IOException =>
        throw new MlflowException(s"the MLflow server $base cannot be reached: ${FlambeauException.describe(cause)}. Start it, or correct its address: $Advice",
          cause)
    }

  override def toString: String = base
}

private[models] object MlflowServer {

  /** What is posted: a case class, written as JSON with its fields in snake_case, as MLflow names them. */
  trait Body

  private val Api = "/api/2.0"
  private val ConnectMillis = 10000
  private val ReadMillis = 60000

  private val Variable = "MLFLOW_TRACKING_URI"
  private val (token, user, password) = ("MLFLOW_TRACKING_TOKEN", "MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD")
  private val Advice =
    s"set ${FlambeauConf.MlflowTrackingUri.key}, or $Variable in the driver's environment, to the http:// or https:// address of a tracking server"
  private val CredentialsAdvice =
    s"Set $token, or $user and $password, in the driver's environment before the application starts. They are only sent to the server of the " +
      s"application's own ${FlambeauConf.MlflowTrackingUri.key} or $Variable"

  /** Databricks' own schemes, which need its own client. */
  private val Databricks = Set("databricks", "databricks-uc", "uc")

  /** The server of a session. */
  def of(conf: SQLConf): MlflowServer = of(
    FlambeauConf.get(conf, FlambeauConf.MlflowTrackingUri),
    Option(SparkEnv.get).flatMap(_.conf.getOption(FlambeauConf.MlflowTrackingUri.key)).getOrElse(""),
    name => Option(System.getenv(name)).map(_.trim).filter(_.nonEmpty))

  /** @throws MlflowException if none is set, or it cannot be asked, or is not the application's although a list of allowed places is set */
  private[models] def of(sessions: String, applications: String, environment: String => Option[String]): MlflowServer = {
    val trusted = Seq(applications, environment(Variable).mkString).map(normal).find(_.nonEmpty)
    val wanted = Some(normal(sessions)).filter(_.nonEmpty).orElse(trusted)
      .getOrElse(throw new MlflowException(s"no MLflow server is set. $Advice"))
    check(wanted)
    val isApplications = trusted.contains(wanted)
    if (!isApplications && AllowList.ofApplication.nonEmpty) {
      throw new MlflowException(
        s"$wanted is not the application's MLflow server, and only that one can be used where ${FlambeauConf.ModelsAllow.key} is set")
    }
    new MlflowServer(wanted, if (isApplications) credentials(environment) else None)
  }

  private def normal(uri: String): String = uri.trim.stripSuffix("/")

  private def check(uri: String): Unit = {
    val scheme = FileLocation.schemeOf(uri)
    if (Databricks.contains(uri) || scheme.exists(Databricks)) {
      throw new MlflowException(
        s"the MLflow server is '${scheme.getOrElse(uri)}', which needs Databricks' own client. Download the model to a folder that the driver sees, such as a " +
          "volume (in Python: mlflow.artifacts.download_artifacts), and give its folder 'package' as the model")
    }
    if (!scheme.exists(Set("http", "https"))) {
      val what = scheme.fold("a folder")(s => s"$s:")
      throw new MlflowException(s"the MLflow server is $what, which only MLflow's Python client can read. Start `mlflow server` over it, and $Advice")
    }
    val parsed =
      try new URI(uri)
      catch { case _: URISyntaxException => throw new MlflowException(s"the address of the MLflow server is not a URI. $Advice") }
    if (parsed.getRawUserInfo != null || parsed.getHost == null) {
      throw new MlflowException(s"the address of the MLflow server has a user name in it, or no host. $Advice. $CredentialsAdvice")
    }
    if (parsed.getRawQuery != null || parsed.getRawFragment != null) {
      throw new MlflowException(s"the address of the MLflow server has a '?' or '#' in it. $Advice")
    }
  }

  private def credentials(environment: String => Option[String]): Option[String] =
    (environment(user), environment(password)) match {
      case (Some(name), Some(secret)) => Some(s"Basic ${Base64.getEncoder.encodeToString(s"$name:$secret".getBytes(UTF_8))}")
      case _ => environment(token).map(value => s"Bearer $value")
    }
}

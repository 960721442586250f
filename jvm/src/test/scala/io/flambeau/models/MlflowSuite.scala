package io.flambeau.models

import java.net.InetSocketAddress
import java.nio.charset.StandardCharsets.UTF_8
import java.util.Base64

import scala.collection.mutable

import com.sun.net.httpserver.HttpServer

import io.flambeau.FlambeauSuite

/** URIs of MLflow, and which server gets which credentials. `tests/test_mlflow.py` uses a real tracking server. */
class MlflowSuite extends FlambeauSuite {
  import MlflowUri._

  private val Token = Map("MLFLOW_TRACKING_TOKEN" -> "a secret token")
  private val Password = Map("MLFLOW_TRACKING_USERNAME" -> "me", "MLFLOW_TRACKING_PASSWORD" -> "a secret password")

  /** Runs `body` with the address of a server that answers with this status, and what it was sent as credentials. */
  private def answering(status: Int, body: String)(test: (String, mutable.Buffer[Option[String]]) => Unit): Unit = {
    val sent = mutable.Buffer.empty[Option[String]]
    val server = HttpServer.create(new InetSocketAddress("127.0.0.1", 0), 0)
    server.createContext("/",
      exchange => {
        sent += Option(exchange.getRequestHeaders.getFirst("Authorization"))
        if (status / 100 == 3) exchange.getResponseHeaders.add("Location", "/elsewhere")
        exchange.sendResponseHeaders(status, 0)
        exchange.getResponseBody.write(body.getBytes(UTF_8))
        exchange.close()
      })
    server.start()
    try test(s"http://127.0.0.1:${server.getAddress.getPort}", sent)
    finally server.stop(0)
  }

  private def ask(session: String, application: String, environment: Map[String, String]) =
    MlflowServer.of(session, application, environment.get).get("runs/get", "run_id" -> "x y&z")

  test("each form of a URI") {
    assert(MlflowUri("models:/my model/12") == OfVersion("models:/my model/12", "my model", "12"))
    assert(MlflowUri("models:/a@b@c") == OfAlias("models:/a@b@c", "a@b", "c"))
    assert(MlflowUri("models:/a/latest") == Latest("models:/a/latest", "a", None))
    assert(MlflowUri("models:/a/Staging") == Latest("models:/a/Staging", "a", Some("Staging")))
    assert(MlflowUri("models:///a/1") == OfVersion("models:///a/1", "a", "1"))
    assert(MlflowUri("models:/m-0af") == Logged("models:/m-0af", "m-0af"))
    assert(MlflowUri("runs:/0af/a/b/") == InRun("runs:/0af/a/b/", "0af", Seq("a", "b")))
    Seq("models:", "models:/", "models:a/1", "models:/a/1/b", "models:/a//1", "models:/../1", "models:/@b", "models:/a@", "models:// /a", "runs:/0af",
      "runs:/0af/",
      "runs:/0af/../b", "runs:/0af/./b").foreach(text => intercept[IllegalArgumentException](MlflowUri(text)))
    assert(!MlflowUri.is("modelsx:/a/1") && !MlflowUri.is("models/a/1") && MlflowUri.is("Models:/a/1"))
  }

  test("an entry of the list covers what begins with it, part by part") {
    def covered(entry: String, text: String) = MlflowUri.covers(entry, MlflowUri(text))
    assert(Seq("models:/", "models:/a", "models:/a/", "models:/a/1").forall(covered(_, "models:/a/1")))
    assert(Seq("models:/", "models:/a", "models:/a@b").forall(covered(_, "models:/a@b")))
    assert(Seq("runs:/", "runs:/0af", "runs:/0af/c").forall(covered(_, "runs:/0af/c/d")))
    assert(!Seq("models:/a/2", "models:/a/1/x", "models:/aa", "models:/A", "runs:/", "/", "embedded", "s3://a").exists(covered(_, "models:/a/1")))
    assert(!Seq("models:/a@c", "models:/a/b", "models:/a@b/x").exists(covered(_, "models:/a@b")))
  }

  test("credentials go to the application's server only") {
    answering(200, "{}") { (address, sent) =>
      val basic = s"Basic ${Base64.getEncoder.encodeToString("me:a secret password".getBytes(UTF_8))}"
      val own = Map("MLFLOW_TRACKING_URI" -> s"$address/")
      ask("", "", own)
      ask("", "", own ++ Token)
      ask("", address, Token ++ Password)
      ask(address, address, Password)
      ask(address, "", own ++ Token)
      assert(sent == Seq(None, Some("Bearer a secret token"), Some(basic), Some(basic), Some("Bearer a secret token")))
      sent.clear()
      ask(address, "http://127.0.0.1:1", Token)
      ask(address, "", Password)
      ask(address, "", Token + ("MLFLOW_TRACKING_URI" -> s"$address/other"))
      assert(sent == Seq(None, None, None))
    }
  }

  test("answers that are none") {
    def failing(status: Int, body: String, words: String*): Unit = answering(status, body) { (address, sent) =>
      val text = intercept[MlflowException](ask("", address, Token)).getMessage
      assert(words.forall(text.contains) && text.contains(address) && !text.contains("secret") && sent.length == 1, text)
    }
    failing(302, "", "redirect")
    failing(401, "", "HTTP 401", "may not read it", "MLFLOW_TRACKING_TOKEN")
    failing(403, """{"error_code": "PERMISSION_DENIED", "message": "no"}""", "HTTP 403")
    failing(404, "<html>", "not answer as an MLflow server does")
    failing(500, """{"error_code": "INTERNAL_ERROR", "message": "the database is gone"}""", "HTTP 500", "the database is gone")
    failing(200, "<html>", "not answer as an MLflow server does")
    failing(200, "[" * 100000, "not answer as an MLflow server does")
    failing(200, " " * (2 << 20), "larger than")
    answering(404, """{"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "no such run"}""") { (address, _) =>
      assert(ask("", address, Map.empty) == Left("no such run"))
    }
  }
}

package io.flambeau.models

import java.nio.file.{Files, Paths}

import scala.jdk.CollectionConverters._
import scala.util.Try

import com.fasterxml.jackson.databind.JsonNode
import org.scalatest.funsuite.AnyFunSuite

import io.flambeau.bridge.{ErrorKind, Json, NativeException}

/** Which manifests are packages, as `tests/manifests.json` says; the engine and Python's own reader are held to the same table. */
class ManifestSuite extends AnyFunSuite {

  private lazy val table = Json.read(Files.readString(Paths.get(sys.props.getOrElse("flambeau.repository", "."), "tests", "manifests.json")))

  private def edited(one: JsonNode): String =
    one.get("edits").elements.asScala.foldLeft(table.get("manifest").elements.asScala.map(_.asText).mkString("\n")) { (text, edit) =>
      text.replace(edit.get(0).asText, edit.get(1).asText)
    }

  private def verdicts(of: String): Seq[(String, Try[PackageManifest.Listing])] =
    table.get(of).elements.asScala.toSeq.map(one => one.get("why").asText -> Try(PackageManifest.list("here", edited(one))))

  test("manifests are accepted as the table says") {
    assert(verdicts("accepted").collect { case (why, failure) if failure.isFailure => why -> failure.failed.get.getMessage } == Nil)
  }

  test("manifests are refused as the table says, as bad models") {
    val refused = verdicts("refused")
    assert(refused.size >= 100 && refused.collect { case (why, listing) if listing.isSuccess => why } == Nil)
    refused.foreach { case (why, listing) =>
      assert(listing.failed.toOption.collect { case cause: NativeException => cause.kind } == Some(ErrorKind.BadModel), why)
    }
  }
}

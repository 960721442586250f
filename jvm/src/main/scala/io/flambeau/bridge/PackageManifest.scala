package io.flambeau.bridge

import java.nio.file.{Files, Path}

import scala.jdk.CollectionConverters._

/** What the native side, the only parser of `model.toml`, tells of a manifest's text alone. All on the caller's thread. */
private[flambeau] object PackageManifest {

  /** A file of a package. `program`: one of its variants, possibly large; else labels, a tokenizer and the like. */
  final case class File(name: String, sha256: String, program: Boolean)

  /** `hash`: SHA-256 of the manifest, the identity of the content. `files`: everything beside `model.toml`. */
  final case class Listing(name: String, hash: String, files: Seq[File])

  /** Of the package in a local folder. */
  def in(folder: Path): Listing = list(folder.toString, Files.readString(folder.resolve("model.toml")))

  /**
   * @param place
   *   what messages call it
   * @throws NativeException
   *   `bad_model` for a manifest that does not parse or contradicts itself
   */
  def list(place: String, manifest: String): Listing = {
    NativeLibrary.ensureLoaded()
    val root = Json.read(NativeBridge.listPackage(place, manifest))
    Listing(
      root.get("name").asText,
      root.get("hash").asText,
      root.get("files").elements.asScala.map(f => File(f.get("name").asText, f.get("sha256").asText, f.get("program").asBoolean)).toSeq)
  }

  /**
   * The manifest of a bare TorchScript file, from the description beside it.
   *
   * @param sha256
   *   gives the SHA-256 of a file beside the program; asked only for those that the description does not tell
   */
  def wrap(place: String, description: String, program: String)(sha256: String => String): String = {
    NativeLibrary.ensureLoaded()
    def answer(hashes: Map[String, String]) = Json.read(NativeBridge.wrapProgram(place, description, program, Json.write(hashes)))
    val first = answer(Map.empty)
    val complete =
      if (first.has("manifest")) first
      else answer(first.get("needs").elements.asScala.map(_.asText).map(name => name -> sha256(name)).toMap)
    complete.get("manifest").asText
  }
}

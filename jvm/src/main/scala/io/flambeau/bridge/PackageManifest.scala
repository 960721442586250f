package io.flambeau.bridge

import java.nio.file.{Files, Path}

/** What the native side, the only parser of `model.toml`, tells of a manifest's text alone. All on the caller's thread. */
private[flambeau] object PackageManifest {

  /** A file of a package. `program`: one of its variants, possibly large; else labels, a tokenizer and the like. */
  final case class File(name: String, sha256: String, program: Boolean)

  /** `hash`: SHA-256 of the manifest, the identity of the content. `files`: everything beside `model.toml`. */
  final case class Listing(name: String, hash: String, files: Seq[File])

  /** The manifest of a bare program; None where hashes of the files in `needs` lack. */
  private[bridge] final case class Wrapped(manifest: Option[String], needs: Seq[String])

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
    Json.as[Listing](NativeBridge.listPackage(place, manifest))
  }

  /**
   * The manifest of a bare TorchScript file, from the description beside it.
   *
   * @param sha256
   *   gives the SHA-256 of a file beside the program; asked only for those that the description does not tell
   */
  def wrap(place: String, description: String, program: String)(sha256: String => String): String = {
    NativeLibrary.ensureLoaded()
    def answer(hashes: Map[String, String]) = Json.as[Wrapped](NativeBridge.wrapProgram(place, description, program, Json.write(hashes)))
    val first = answer(Map.empty)
    val complete = first.manifest.orElse(answer(first.needs.map(name => name -> sha256(name)).toMap).manifest)
    complete.getOrElse(throw new IllegalStateException(s"all hashes of $place were given, and more are asked for"))
  }
}

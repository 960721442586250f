package io.flambeau.models

import java.nio.file.{Files, Path}

import io.flambeau.bridge.{Json, NativePackages}

/** The contents of a manifest's text ([[NativePackages]] reads it). Runs on the caller's thread. */
private[flambeau] object PackageManifest {

  /** A file of a package. `program`: one of its variants, possibly large; otherwise labels, a tokenizer and the like. */
  final case class File(name: String, sha256: String, program: Boolean)

  /** `hash`: SHA-256 of the manifest, the identity of the content. `files`: all except `model.toml`. */
  final case class Listing(name: String, hash: String, files: Seq[File])

  /** The manifest of a bare program; None if hashes of the files in `needs` are missing. */
  private[flambeau] final case class Wrapped(manifest: Option[String], needs: Seq[String])

  /** Of the package in a local folder. */
  def in(folder: Path): Listing = list(folder.toString, Files.readString(folder.resolve("model.toml")))

  /**
   * @param location
   *   its name in messages
   * @throws io.flambeau.bridge.NativeException
   *   `bad_model` for a manifest that does not parse or contradicts itself
   */
  def list(location: String, manifest: String): Listing = Json.as[Listing](NativePackages.list(location, manifest))

  /**
   * The manifest of a bare TorchScript file, from the description next to it.
   *
   * @param sha256
   *   returns the SHA-256 of a file next to the program; called only for those without a hash in the description
   */
  def wrap(location: String, description: String, program: String)(sha256: String => String): String = {
    def answer(hashes: Map[String, String]) = Json.as[Wrapped](NativePackages.wrap(location, description, program, Json.write(hashes)))
    val first = answer(Map.empty)
    val complete = first.manifest.orElse(answer(first.needs.map(name => name -> sha256(name)).toMap).manifest)
    complete.getOrElse(throw new IllegalStateException(s"all hashes of $location were given, and more are needed"))
  }
}

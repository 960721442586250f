package io.flambeau.bridge

/** What native code, the only parser of `model.toml`, tells of a package, as JSON. All on the caller's thread. */
private[flambeau] object NativePackages {

  /**
   * The description of the package in a folder, whose small files are checked.
   *
   * @throws NativeException
   *   `bad_model` for a manifest that does not parse or contradicts itself, or a small file that is missing or altered
   */
  def describe(directory: String): String = loaded(NativeBridge.describeModel(directory))

  /**
   * Name, hash and files, from the text of the manifest alone.
   *
   * @param location
   *   what messages call it
   */
  def list(location: String, manifest: String): String = loaded(NativeBridge.listPackage(location, manifest))

  /**
   * The manifest of a bare TorchScript file from the description next to it, or the files whose hashes it needs.
   *
   * @param hashesJson
   *   file name to SHA-256
   */
  def wrap(location: String, description: String, program: String, hashesJson: String): String =
    loaded(NativeBridge.wrapProgram(location, description, program, hashesJson))

  private def loaded(answer: => String): String = {
    NativeLibrary.ensureLoaded()
    answer
  }
}

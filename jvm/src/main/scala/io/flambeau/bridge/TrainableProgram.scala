package io.flambeau.bridge

object TrainableProgram {

  /**
   * Fails with a NativeException unless the program of a package has what is asked of it. Loads it, and lets go of it.
   *
   * @param program
   *   `package` (a folder), `output`, `frozen`, `loss_method` (rust/train/src/spec.rs)
   */
  def check(program: Map[String, Any]): Unit = {
    NativeLibrary.ensureLoaded()
    NativeBridge.checkProgram(Json.write(program))
  }
}

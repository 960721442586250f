package io.flambeau.bridge

import io.flambeau.bridge.spec.ProgramSpec

object TrainableProgram {

  /**
   * Fails with a NativeException unless the program of a package has these outputs, parameters and methods. Loads it, and releases it.
   *
   * @param program
   *   of a package
   */
  def check(program: ProgramSpec): Unit = {
    NativeLibrary.ensureLoaded()
    NativeCalls.counted(NativeBridge.checkProgram(Json.write(program)))
  }
}

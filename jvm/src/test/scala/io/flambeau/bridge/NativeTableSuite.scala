package io.flambeau.bridge

import java.lang.reflect.Modifier

import org.scalatest.funsuite.AnyFunSuite

/** The native methods of the class and the table that the library registers are the same set, by construction and by test. */
class NativeTableSuite extends AnyFunSuite {

  private val symbol = "registerNatives"

  private def declared: Set[String] =
    classOf[NativeBridge].getDeclaredMethods.filter(m => Modifier.isNative(m.getModifiers)).map(_.getName).toSet - symbol

  test("every native method is registered, and nothing else") {
    NativeLibrary.ensureLoaded()
    val registered = NativeBridge.nativeTable().linesIterator.toSet
    assert(declared.nonEmpty, "the reflection found no native method: the test would prove nothing")
    assert(registered == declared)
  }

  test("registering twice changes nothing") {
    NativeLibrary.ensureLoaded()
    NativeBridge.registerNatives()
    assert(NativeBridge.stats().contains("live_handles"))
  }

  test("the process reports libtorch and its threads") {
    val versions = Json.read(NativeLibrary.ensureLoaded())
    assert(versions.get("libtorch").asText == "2.13.0")
    assert(versions.get("intra_op_threads").asInt == 1)
  }
}

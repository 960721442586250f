package io.flambeau.train

import java.nio.file.Files

import org.scalatest.funsuite.AnyFunSuite

/** How the driver handles the parts that rank 0 sends. */
class ArrivalsSuite extends AnyFunSuite {
  private def part(name: String, offset: Long, text: String, attempt: Long = 1) = FilePart(attempt, 0, name, offset, text.getBytes)

  test("parts make files, of each attempt its own, whatever comes twice") {
    val receiver = new ModelFileReceiver("test")
    receiver.take(part("a", 0, "one "))
    receiver.take(part("b", 0, ""))
    receiver.take(part("a", 4, "two"))
    receiver.take(part("a", 4, "two"))
    receiver.take(part("a", 0, "else", attempt = 2))
    val folder = receiver.claim(1, 0)
    assert(Files.readString(folder.resolve("a")) == "one two" && Files.size(folder.resolve("b")) == 0)
    val other = receiver.claim(2, 0)
    assert(Files.readString(other.resolve("a")) == "else")
    intercept[IllegalStateException](receiver.claim(1, 0))
    receiver.close()
    assert(Files.exists(folder) && Files.exists(other), "claimed folders stay")
    Seq(folder, other).foreach(io.flambeau.files.LocalFiles.deleteFolder)
  }

  test("nothing is written outside of a folder, and what nobody claims is deleted") {
    val receiver = new ModelFileReceiver("test")
    Seq("../a", "/tmp/a", "a/b").foreach(name => intercept[IllegalArgumentException](receiver.take(part(name, 0, "x"))))
    receiver.take(part("a", 0, "x"))
    val folders = Files.list(java.nio.file.Paths.get(sys.props("java.io.tmpdir"))).filter(_.getFileName.toString.startsWith("flambeau-test-"))
    val before = folders.toArray.map(_.toString)
    receiver.close()
    assert(before.nonEmpty && before.forall(path => !Files.exists(java.nio.file.Paths.get(path))))
  }
}

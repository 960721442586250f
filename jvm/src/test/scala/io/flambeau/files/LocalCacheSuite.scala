package io.flambeau.files

import java.io.{ByteArrayInputStream, IOException}
import java.nio.charset.StandardCharsets.UTF_8
import java.nio.file.{Files, Path}
import java.nio.file.attribute.{FileTime, PosixFilePermissions}
import java.util.concurrent.atomic.AtomicInteger

import org.scalatest.BeforeAndAfterEach
import org.scalatest.funsuite.AnyFunSuite

/** The folder of libraries and models holds the original files; damaged ones are fetched again. */
class LocalCacheSuite extends AnyFunSuite with BeforeAndAfterEach {

  private val contents = Map("a.so" -> "first library".getBytes(UTF_8), "b.so" -> "second library".getBytes(UTF_8))
  private val entries = contents.map { case (name, bytes) => LocalCache.Entry(LocalFiles.sha256(bytes), name) }.toSeq
  private val opened = new AtomicInteger
  private var hash = ""

  override protected def beforeEach(): Unit = {
    hash = LocalFiles.sha256(s"${System.nanoTime()}".getBytes(UTF_8))
    opened.set(0)
  }

  override protected def afterEach(): Unit = LocalFiles.deleteFolder(LocalCache.folder("test", hash))

  private def fetch(): Path = LocalCache.fetch("test", hash, entries, 1000, "here") { name =>
    opened.incrementAndGet()
    new ByteArrayInputStream(contents(name))
  }

  private def assertRight(folder: Path): Unit =
    contents.foreach { case (name, bytes) => assert(Files.readAllBytes(folder.resolve(name)).toSeq == bytes.toSeq, name) }

  /** Fetches, damages, fetches again: the folder is correct, after opening this many files. */
  private def repaired(wanted: Int)(damage: Path => Unit): Unit = {
    val folder = fetch()
    val before = opened.get
    damage(folder)
    assert(fetch() == folder && opened.get == before + wanted)
    assertRight(folder)
    assert(fetch() == folder && opened.get == before + wanted, "what was mended is whole")
  }

  test("a whole folder is not touched again") {
    repaired(wanted = 0)(_ => ())
    assert(opened.get == contents.size)
  }

  test("a file that is cut short, altered, gone, a link or a folder: all are brought anew") {
    val elsewhere = Files.createTempFile("flambeau", "elsewhere")
    Seq[Path => Unit](
      file => Files.write(file, Array.emptyByteArray),
      file => Files.write(file, Files.readAllBytes(file).dropRight(1)),
      file => Files.write(file, Files.readAllBytes(file).reverse),
      { file =>
        val time = Files.getLastModifiedTime(file)
        Files.write(file, Files.readAllBytes(file).reverse)
        Files.setLastModifiedTime(file, time)
      },
      file => Files.delete(file),
      { file => Files.delete(file); Files.createSymbolicLink(file, elsewhere) },
      { file => Files.delete(file); Files.createDirectory(file) }).foreach { damage =>
      repaired(wanted = contents.size)(folder => damage(folder.resolve("b.so")))
    }
    Files.delete(elsewhere)
  }

  test("other times with the same content are looked into, and nothing is brought") {
    repaired(wanted = 0)(folder => Files.setLastModifiedTime(folder.resolve("a.so"), FileTime.fromMillis(0)))
    repaired(wanted = 0)(folder => Files.delete(folder.resolve(".inventory")))
    repaired(wanted = 0)(folder => Files.writeString(folder.resolve(".inventory"), "nonsense\n"))
  }

  test("a file or a link in the folder's place gives way") {
    repaired(wanted = contents.size) { folder =>
      LocalFiles.deleteFolder(folder)
      Files.writeString(folder, "no folder")
    }
    val elsewhere = Files.createTempDirectory("flambeau-elsewhere")
    repaired(wanted = contents.size) { folder =>
      LocalFiles.deleteFolder(folder)
      Files.createSymbolicLink(folder, elsewhere)
    }
    Files.delete(elsewhere)
  }

  test("what was opened before the folder was mended can still be read") {
    val folder = fetch()
    val stream = Files.newInputStream(folder.resolve("a.so"))
    Files.delete(folder.resolve("b.so"))
    fetch()
    assert(stream.readAllBytes().toSeq == contents("a.so").toSeq)
    stream.close()
  }

  test("a private folder belongs to this user's number, is no link, and nobody else can write it") {
    val file = Files.createTempFile("flambeau", "mine")
    assert(PrivateFolder.uid == Files.getAttribute(file, "unix:uid"))
    Files.delete(file)
    val shared = Files.createTempDirectory("flambeau-shared")
    Files.setPosixFilePermissions(shared, PosixFilePermissions.fromString("rwxrwxrwx"))
    val own = shared.resolve(s"flambeau-${PrivateFolder.uid}")
    assert(PrivateFolder.in(shared) == own && PrivateFolder.in(shared) == own)
    assert(PosixFilePermissions.toString(Files.getPosixFilePermissions(own)) == "rwx------")
    assert(PrivateFolder.at(shared) == own.toRealPath(), "a folder that others may write is not taken itself")
    val mine = shared.resolve("mine")
    assert(PrivateFolder.at(mine) == mine.toRealPath() && PrivateFolder.at(mine) == mine.toRealPath())

    Files.setPosixFilePermissions(own, PosixFilePermissions.fromString("rwxrwx---"))
    assert(intercept[IOException](PrivateFolder.in(shared)).getMessage.contains("can be written by other users (mode 770): remove it"))
    Files.delete(own)
    Files.createSymbolicLink(own, mine)
    assert(intercept[IOException](PrivateFolder.in(shared)).getMessage.contains("is not a folder"))
    LocalFiles.deleteFolder(shared)
  }
}

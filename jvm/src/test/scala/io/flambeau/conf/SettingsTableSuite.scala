package io.flambeau.conf

import java.nio.file.{Files, Path, Paths}

import scala.util.Using

import org.scalatest.funsuite.AnyFunSuite

/** The settings in docs/settings.md are those in the code. */
class SettingsTableSuite extends AnyFunSuite {

  private val repository: Path = Paths.get(sys.props.getOrElse("flambeau.repository", ".")).toAbsolutePath

  test("the table of docs/settings.md is the generated one") {
    val table = SettingsTable.in(Files.readString(repository.resolve("docs/settings.md")))
    assert(table.contains(SettingsTable.markdown),
      s"docs/settings.md, between ${SettingsTable.Begin} and ${SettingsTable.End}, must read:\n${SettingsTable.markdown}\n")
  }

  test("every setting is declared once, documented, and in the list") {
    val keys = FlambeauConf.all.map(_.key)
    assert(keys.distinct == keys)
    FlambeauConf.all.foreach { setting =>
      assert(setting.problem(setting.default).isEmpty, s"${setting.key}: its own default is refused")
      assert(setting.key.startsWith(FlambeauConf.Prefix))
      assert(setting.doc.endsWith("."), setting.key)
      assert(!setting.doc.contains("|") && !setting.doc.contains("\n"), s"${setting.key}: would break the table")
    }
    val declared = FlambeauConf.getClass.getDeclaredMethods.filter(_.getReturnType == classOf[Setting[_]])
      .filter(_.getParameterCount == 0).map(_.invoke(FlambeauConf).asInstanceOf[Setting[_]].key).toSet
    assert(declared == keys.toSet)
  }

  test("no key of ours is written out elsewhere in the code") {
    val sources = Using.resource(Files.walk(repository.resolve("jvm/src/main")))(_.toArray.toSeq.map(_.asInstanceOf[Path]))
      .filter(file => file.toString.endsWith(".scala") && file.getFileName.toString != "FlambeauConf.scala")
    val known = FlambeauConf.all.map(_.key)
    for (file <- sources; found <- "spark\\.flambeau\\.[a-zA-Z.]+[a-zA-Z]".r.findAllIn(Files.readString(file))) {
      assert(
        known.contains(found) || known.exists(_.startsWith(found + ".")) || found.startsWith("spark.flambeau.udf") || found == FlambeauConf.InternalFault,
        s"$file names $found, which is no setting")
    }
  }
}

package io.flambeau.train

import java.nio.file.{Files, Path, Paths}

import org.apache.commons.io.FileUtils

import io.flambeau.bridge.{PackageManifest, Unpacker}
import io.flambeau.models.{AllowList, ModelRef, ModelStore}

/** Packages of models that this driver trained: a folder each, until the process ends. A saved model carries its own copy. */
private[train] object TrainedFiles {

  /**
   * @param files
   *   what the fit made
   * @param featurizer
   *   the package in front of a head: the other files that the new manifest names are that one's, and are not written again
   */
  def keep(name: String, files: Seq[PackageFile], featurizer: Option[ModelRef]): Path = {
    val folder = Files.createTempDirectory(s"flambeau-$name-")
    FileUtils.forceDeleteOnExit(folder.toFile)
    files.foreach(file => Files.write(folder.resolve(file.name), file.bytes))
    featurizer.map(ref => Paths.get(ModelStore.localDirectory(ref))).foreach { source =>
      PackageManifest.in(folder).files.map(_.name).filterNot(files.map(_.name).contains).foreach { file =>
        Unpacker.link(source.resolve(file), folder.resolve(file))
      }
    }
    AllowList.addTrained(folder)
    folder
  }
}

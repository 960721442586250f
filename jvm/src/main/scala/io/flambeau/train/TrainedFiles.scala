package io.flambeau.train

import java.nio.file.{Files, Path, Paths}

import org.apache.commons.io.FileUtils

import io.flambeau.files.LocalFiles
import io.flambeau.models.{AllowList, ModelRef, ModelStore, PackageManifest}

/** Packages of models that this driver trained: a folder each, until the process ends. A saved model carries its own copy. */
private[train] object TrainedFiles {

  /**
   * @param folder
   *   with the files of the fit
   * @param featurizer
   *   the featurizer's package, for a head: the other files of the new manifest are in it, and are not written again
   */
  def keep(folder: Path, featurizer: Option[ModelRef]): Path = {
    featurizer.map(ref => Paths.get(ModelStore.localDirectory(ref))).foreach { source =>
      PackageManifest.in(folder).files.map(_.name).filterNot(name => Files.exists(folder.resolve(name))).foreach { file =>
        LocalFiles.link(source.resolve(file), folder.resolve(file))
      }
    }
    FileUtils.forceDeleteOnExit(folder.toFile)
    AllowList.addTrained(folder)
    folder
  }
}

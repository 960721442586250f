package io.flambeau.train

import java.nio.file.{Files, Path}

import org.apache.commons.io.FileUtils

import io.flambeau.models.AllowList

/** Packages of models that this driver trained: a folder each, until the process ends. A saved model carries its own copy. */
private[train] object TrainedFiles {
  def keep(name: String, files: Seq[PackageFile]): Path = {
    val folder = Files.createTempDirectory(s"flambeau-$name-")
    FileUtils.forceDeleteOnExit(folder.toFile)
    files.foreach(file => Files.write(folder.resolve(file.name), file.bytes))
    AllowList.addTrained(folder)
    folder
  }
}

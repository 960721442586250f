package io.flambeau.spark

import java.nio.channels.SeekableByteChannel

import org.apache.commons.compress.archivers.zip.ZipFile

/** Archives, read with the library that Spark ships. */
object Archives {

  /** The archive in this channel, which stays the caller's. */
  def zip(channel: SeekableByteChannel): ZipFile = new ZipFile(channel)
}

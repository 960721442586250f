package io.flambeau.bridge

import java.io.IOException
import java.nio.file.{Files, Paths}

import scala.jdk.CollectionConverters._

/**
 * Checks the limit of the process's address space (`ulimit -v`), which some clusters set, before libtorch is loaded. OpenBLAS
 * maps buffers for every core when it is loaded, and ends the process if it cannot.
 */
private[bridge] object AddressSpace {

  private val PageBytes = 4096L
  private val Mib = 1L << 20

  /** Measured with libtorch 2.13.0: its libraries map 300 MiB, a forward pass needs 256 MiB, the rest is for the JVM's own growth. */
  private val FixedBytes = 768 * Mib

  /** A buffer of OpenBLAS (128 MiB) and the stack of its thread. */
  private val BytesPerCore = 136 * Mib

  /** @throws AddressSpaceException if too little is left */
  def check(): Unit = limit().foreach { most =>
    val left = most - used()
    val needed = FixedBytes + BytesPerCore * Runtime.getRuntime.availableProcessors
    if (left < needed) throw new AddressSpaceException(most, left, needed)
  }

  private def limit(): Option[Long] =
    Files.readAllLines(Paths.get("/proc/self/limits")).asScala.find(_.startsWith("Max address space"))
      .map(_.stripPrefix("Max address space").trim.split("\\s+").head).filter(_ != "unlimited").map(_.toLong)

  private def used(): Long = Files.readString(Paths.get("/proc/self/statm")).split(" ").head.toLong * PageBytes
}

/** Too little of the address space is left to load libtorch. */
private[flambeau] final class AddressSpaceException(most: Long, left: Long, needed: Long)
    extends IOException(
      s"the address space of this process is limited to ${most >> 20} MiB (ulimit -v), ${left >> 20} MiB of it are left, and libtorch needs " +
        s"${needed >> 20} MiB on this machine: raise the limit (ulimit -v unlimited), or lower the JVM's heap")

package io.flambeau.bridge.spec

import io.flambeau.conf.LogLevel

/**
 * How the native side of a process starts.
 *
 * @param intraOpThreads
 *   of one forward pass
 * @param decodeThreads
 *   that prepare rows
 * @param idleModelBytes
 *   of models that no task uses
 * @param choicesFolder
 *   where choices of engines are saved
 */
final case class StartSpec(
    intraOpThreads: Int, decodeThreads: Int, idleModelBytes: Long, machineCode: Boolean, choicesFolder: String, logLevel: LogLevel)

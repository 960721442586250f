package io.flambeau.ui

import java.time.{Instant, ZoneId}
import java.time.format.DateTimeFormatter
import java.util.Locale

/** Numbers as the Models tab shows them. */
private[ui] object Units {
  private val Bytes = Seq("B", "KiB", "MiB", "GiB", "TiB")
  private val Clock = DateTimeFormatter.ofPattern("yyyy-MM-dd HH:mm:ss")

  def bytes(n: Long): String = {
    val unit = Bytes.indices.find(i => n < (1L << (10 * (i + 1)))).getOrElse(Bytes.length - 1)
    if (unit == 0) s"$n B" else s"${decimals(n.toDouble / (1L << (10 * unit)))} ${Bytes(unit)}"
  }

  def count(n: Long): String = "%,d".formatLocal(Locale.US, n)

  def rate(n: Double): String = if (n >= 100) count(math.round(n)) else decimals(n)

  /** Of the driver, or of the history server. */
  def time(millis: Long): String = Clock.format(Instant.ofEpochMilli(millis).atZone(ZoneId.systemDefault()))

  def nanoseconds(ns: Long): String = seconds(ns / 1e9)

  def seconds(s: Double): String =
    if (s > 0 && s < 1e-3) s"${decimals(s * 1e6)} µs"
    else if (s < 1) s"${decimals(s * 1000)} ms"
    else if (s < 120) s"${decimals(s)} s"
    else if (s < 7200) s"${decimals(s / 60)} min"
    else s"${decimals(s / 3600)} h"

  private def decimals(x: Double): String = if (x >= 100 || x == 0) "%.0f".formatLocal(Locale.US, x) else "%.1f".formatLocal(Locale.US, x)
}

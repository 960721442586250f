package io.flambeau.bridge.spec

import org.apache.spark.sql.internal.SQLConf

import io.flambeau.conf.{Decode, FlambeauConf}

/** Limits for a picture: maximum pixels, and how large ones are decoded. */
final case class ImageLimits(maxPixels: Long, decode: Decode)

object ImageLimits {

  /** Those of a session. */
  def of(conf: SQLConf): ImageLimits = ImageLimits(FlambeauConf.get(conf, FlambeauConf.ImageMaxPixels), FlambeauConf.get(conf, FlambeauConf.ImageDecode))
}

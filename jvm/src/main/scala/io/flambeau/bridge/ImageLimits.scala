package io.flambeau.bridge

import org.apache.spark.sql.internal.SQLConf

import io.flambeau.conf.FlambeauConf

/**
 * What a picture may cost, where rows are trained on; inference has the same as settings of its request.
 *
 * @param maxPixels
 *   at the most
 * @param decode
 *   `auto` or `exact`, see `spark.flambeau.image.decode`
 */
final case class ImageLimits(maxPixels: Long, decode: String) {

  /** As the native side names them. */
  def native: Map[String, Any] = Map("max_pixels" -> maxPixels, "decode" -> decode)
}

object ImageLimits {

  /** Those of a session. */
  def of(conf: SQLConf): ImageLimits = ImageLimits(FlambeauConf.get(conf, FlambeauConf.ImageMaxPixels), FlambeauConf.get(conf, FlambeauConf.ImageDecode))
}

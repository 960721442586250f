package io.flambeau.train

import org.apache.spark.SparkConf
import org.apache.spark.sql.internal.SQLConf

import io.flambeau.{FlambeauAnalysisException, FlambeauSuite}
import io.flambeau.bridge.spec.ImageLimits
import io.flambeau.conf.FlambeauConf
import io.flambeau.models.HadoopSettings

/** When several workers are rejected because they would send data in clear text. */
class ClearTextSuite extends FlambeauSuite {
  private def job(workers: Int): JobSpec =
    JobSpec(
      "test",
      DatasetPlan(new org.apache.spark.sql.types.StructType, Nil, Nil, Map.empty, 1, None, skipInvalid = false, None, ImageLimits.of(SQLConf.get)), Nil,
      workers,
      1000L, HadoopSettings.none, asksAfterEpochs = false)

  private def refusal(workers: Int, settings: (String, String)*): Option[String] =
    try {
      ClearText.check(new SparkConf(false).setAll(settings), job(workers))
      None
    } catch { case refused: FlambeauAnalysisException => Some(refused.getMessage) }

  test("several workers do not send in clear what Spark is asked to protect, unless the application allows it") {
    val asking =
      Seq("spark.authenticate", "spark.authenticate.enableSaslEncryption", "spark.network.crypto.enabled", "spark.ssl.enabled", "spark.ssl.rpc.enabled")
    asking.foreach { key =>
      assert(refusal(2, key -> "true").exists(text => text.contains(key) && text.contains(FlambeauConf.TrainAllowUnencrypted.key)), key)
      assert(refusal(2, key -> "true", FlambeauConf.TrainAllowUnencrypted.key -> "false").isDefined)
      assert(refusal(2, key -> "true", FlambeauConf.TrainAllowUnencrypted.key -> "true").isEmpty)
      assert(refusal(2, key -> "false").isEmpty && refusal(1, key -> "true").isEmpty)
    }
    assert(refusal(2).isEmpty)
  }
}

package io.flambeau.train

import org.apache.spark.SparkConf
import org.apache.spark.internal.Logging

import io.flambeau.FlambeauAnalysisException
import io.flambeau.conf.FlambeauConf

/**
 * Compares what training does not encrypt with the application's settings of Spark. Driver only.
 *
 * Workers find one another over Spark's own RPC, which Spark authenticates and encrypts if so configured. After that they send
 * each other sums of gradients by Gloo, in clear text. The training rows on the disks of their machines are not encrypted either.
 */
private[train] object ClearText extends Logging {

  /** Settings of Spark that require authentication or encryption between an application's processes. */
  private val OfTheNetwork = Seq(
    "spark.authenticate", "spark.authenticate.enableSaslEncryption", "spark.network.crypto.enabled", "spark.ssl.enabled", "spark.ssl.rpc.enabled")

  private val OfTheDisk = "spark.io.encryption.enabled"

  /** Fails if several workers would send data in clear text although the application requires protection. */
  def check(conf: SparkConf, job: JobSpec): Unit = {
    if (conf.getBoolean(OfTheDisk, defaultValue = false)) {
      logWarning(s"${job.owner}: $OfTheDisk is set, but the training rows on the workers' disks are not encrypted")
    }
    val asked = OfTheNetwork.filter(conf.getBoolean(_, defaultValue = false))
    val setting = FlambeauConf.TrainAllowUnencrypted
    val allowed = setting.parse(conf.get(setting.key, setting.default))
    if (job.workers > 1 && asked.nonEmpty) {
      val what =
        s"${job.owner}: numWorkers is ${job.workers}, and workers send each other sums of gradients without encryption, but ${asked.mkString(" and ")} is set"
      if (allowed) logWarning(s"$what; ${setting.key} allows it")
      else {
        throw new FlambeauAnalysisException(
          "FLAMBEAU_BAD_ARGUMENT",
          s"$what. Set numWorkers to 1. Or, if the network between the executors is trusted, start the application with ${setting.key}=true")
      }
    }
  }
}

package io.flambeau.train

import org.apache.spark.SparkConf
import org.apache.spark.internal.Logging

import io.flambeau.FlambeauAnalysisException
import io.flambeau.conf.FlambeauConf

/**
 * What training does not encrypt, held against what the application asks of Spark. Driver only.
 *
 * Workers find one another over Spark's own RPC, which Spark authenticates and encrypts where it is told to. What they send each other
 * after that (sums of gradients, by Gloo) is in clear, and so are the training rows on the disks of their machines.
 */
private[train] object ClearText extends Logging {

  /** Settings of Spark by which an application asks that what its processes send be authenticated or encrypted. */
  private val OfTheNetwork = Seq(
    "spark.authenticate", "spark.authenticate.enableSaslEncryption", "spark.network.crypto.enabled", "spark.ssl.enabled", "spark.ssl.rpc.enabled")

  private val OfTheDisk = "spark.io.encryption.enabled"

  /** Fails if several workers would send in clear what the application wants protected. */
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

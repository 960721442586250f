package io.flambeau.sql;

import org.apache.spark.SparkEnv;
import org.apache.spark.util.RpcUtils;

/** The driver's answers about engines, as a test needs them. Java because the RPC is open to Spark's own Scala packages only. */
final class EngineQuestions {

  private EngineQuestions() {}

  /** What the driver answers an executor that has chosen {@code mine}; null if it does not answer. */
  static String ask(String model, String mine) {
    return EngineAgreement.ask(SparkEnv.get(), model, mine);
  }

  /** While {@code body} runs the driver answers no question; afterwards it does again. */
  static void unanswered(Runnable body) {
    SparkEnv env = SparkEnv.get();
    env.rpcEnv().stop(RpcUtils.makeDriverRef(EngineAgreement.NAME, env.conf(), env.rpcEnv()));
    try {
      body.run();
    } finally {
      EngineAgreement.answer(env);
    }
  }
}

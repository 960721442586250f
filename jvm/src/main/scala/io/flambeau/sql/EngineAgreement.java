package io.flambeau.sql;

import java.util.concurrent.ConcurrentHashMap;
import org.apache.spark.SparkEnv;
import org.apache.spark.rpc.RpcCallContext;
import org.apache.spark.rpc.RpcEndpointRef;
import org.apache.spark.rpc.RpcEnv;
import org.apache.spark.rpc.ThreadSafeRpcEndpoint;
import org.apache.spark.util.RpcUtils;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import scala.PartialFunction;
import scala.reflect.ClassTag$;
import scala.runtime.AbstractPartialFunction;
import scala.runtime.BoxedUnit;

/**
 * Which engine the executors of one application run a model with. Executors choose by measuring; the driver keeps the first
 * choice that it hears of for each model, and all follow it, so that a task that is tried again elsewhere gives the same bits.
 * Over Spark's own RPC, one question for each executor and model. Java because the RPC is open to Spark's own Scala packages only.
 */
final class EngineAgreement {
  private static final Logger LOG = LoggerFactory.getLogger(EngineAgreement.class);
  static final String NAME = "flambeau-engines";

  private static SparkEnv listening;
  private static SparkEnv asking;
  private static final ConcurrentHashMap<String, String> ANSWERS = new ConcurrentHashMap<>();

  private EngineAgreement() {}

  /** Makes the driver answer, once for each application. Called where a query is planned. */
  static synchronized void listen() {
    SparkEnv env = SparkEnv.get();
    if (env == listening) {
      return;
    }
    answer(env);
    listening = env;
  }

  /** Sets the endpoint up, with no choice made yet. */
  static void answer(SparkEnv env) {
    env.rpcEnv().setupEndpoint(NAME, new Endpoint(env.rpcEnv(), new ConcurrentHashMap<>()));
  }

  /**
   * The engine that the application runs this model with; {@code mine} if this executor is the first to ask, or the driver cannot
   * be asked. {@code model} names content and precision.
   */
  static String agreed(String model, String mine) {
    SparkEnv env = SparkEnv.get();
    if (env == null) {
      return mine;
    }
    synchronized (EngineAgreement.class) {
      if (env != asking) {
        ANSWERS.clear();
        asking = env;
      }
    }
    String answer = ANSWERS.computeIfAbsent(model, key -> ask(env, key, mine));
    return answer == null ? mine : answer;
  }

  /** Null where there is no answer; the next task asks again. */
  static String ask(SparkEnv env, String model, String mine) {
    try {
      RpcEndpointRef driver = RpcUtils.makeDriverRef(NAME, env.conf(), env.rpcEnv());
      return driver.<String>askSync(model + "\n" + mine, ClassTag$.MODULE$.apply(String.class));
    } catch (Exception cause) {
      // Spark's failures are checked exceptions that its Scala methods do not declare; so is the interruption of a killed task.
      if (cause instanceof InterruptedException) {
        Thread.currentThread().interrupt();
      }
      LOG.warn("the driver did not say which engine to use, so this executor uses its own choice, {}: {}", mine, cause.toString());
      return null;
    }
  }

  private record Endpoint(RpcEnv rpcEnv, ConcurrentHashMap<String, String> choices) implements ThreadSafeRpcEndpoint {
    @Override
    public PartialFunction<Object, BoxedUnit> receiveAndReply(RpcCallContext context) {
      return new AbstractPartialFunction<>() {
        @Override
        public boolean isDefinedAt(Object message) {
          return message instanceof String;
        }

        @Override
        public BoxedUnit apply(Object message) {
          String[] question = ((String) message).split("\n", 2);
          context.reply(choices.computeIfAbsent(question[0], model -> question[1]));
          return BoxedUnit.UNIT;
        }
      };
    }
  }
}

package io.flambeau.train;

import java.util.function.Consumer;
import org.apache.spark.SparkEnv;
import org.apache.spark.rpc.RpcEndpoint;
import org.apache.spark.rpc.RpcEndpointRef;
import org.apache.spark.rpc.RpcEnv;
import org.apache.spark.util.RpcUtils;
import scala.PartialFunction;
import scala.runtime.AbstractPartialFunction;
import scala.runtime.BoxedUnit;

/**
 * The way of progress from rank 0 to the driver, over Spark's own RPC (its ports, its authentication): accumulators arrive
 * with the heartbeat only, every ten seconds. Messages are text; losing one does no harm. Java because the RPC is open to
 * Spark's own Scala packages only.
 */
final class ProgressChannel implements AutoCloseable {
  private final RpcEnv environment;
  private final RpcEndpointRef endpoint;

  /** Listens under {@code name} until closed; {@code receive} is called on a thread of Spark's RPC. */
  ProgressChannel(String name, Consumer<String> receive) {
    environment = SparkEnv.get().rpcEnv();
    endpoint = environment.setupEndpoint(name, new Endpoint(environment, receive));
  }

  @Override
  public void close() {
    environment.stop(endpoint);
  }

  /** The sending end, on an executor. */
  static Sender sender(String name) {
    SparkEnv env = SparkEnv.get();
    RpcEndpointRef driver = RpcUtils.makeDriverRef(name, env.conf(), env.rpcEnv());
    return driver::send;
  }

  /** Sends without waiting for an answer. */
  @FunctionalInterface
  interface Sender {
    void send(Object message);
  }

  private static final class Endpoint implements RpcEndpoint {
    private final RpcEnv environment;
    private final Consumer<String> receive;

    Endpoint(RpcEnv environment, Consumer<String> receive) {
      this.environment = environment;
      this.receive = receive;
    }

    @Override
    public RpcEnv rpcEnv() {
      return environment;
    }

    @Override
    public PartialFunction<Object, BoxedUnit> receive() {
      return new AbstractPartialFunction<>() {
        @Override
        public boolean isDefinedAt(Object message) {
          return message instanceof String;
        }

        @Override
        public BoxedUnit apply(Object message) {
          receive.accept((String) message);
          return BoxedUnit.UNIT;
        }
      };
    }
  }
}

package io.flambeau.train;

import java.util.function.Consumer;
import java.util.function.Function;
import org.apache.spark.SparkEnv;
import org.apache.spark.rpc.RpcCallContext;
import org.apache.spark.rpc.RpcEndpoint;
import org.apache.spark.rpc.RpcEndpointRef;
import org.apache.spark.rpc.RpcEnv;
import org.apache.spark.util.RpcUtils;
import scala.PartialFunction;
import scala.reflect.ClassTag$;
import scala.runtime.AbstractPartialFunction;
import scala.runtime.BoxedUnit;

/**
 * The way from workers to the driver during one job, over Spark's own RPC (its ports, its authentication), in milliseconds:
 * accumulators arrive with the heartbeat, every ten seconds, and {@code BarrierTaskContext.allGather} looks for its answer once a
 * second. Messages and answers are text. Java because the RPC is open to Spark's own Scala packages only.
 */
final class DriverChannel implements AutoCloseable {
  private final RpcEnv environment;
  private final RpcEndpointRef endpoint;

  /** Listens under {@code name} until closed; both functions are called on threads of Spark's RPC, one at a time. */
  DriverChannel(String name, Consumer<String> told, Function<String, String> asked) {
    environment = SparkEnv.get().rpcEnv();
    endpoint = environment.setupEndpoint(name, new Endpoint(environment, told, asked));
  }

  @Override
  public void close() {
    environment.stop(endpoint);
  }

  /** The worker's end, on an executor. */
  static Caller caller(String name) {
    SparkEnv env = SparkEnv.get();
    return new Caller(RpcUtils.makeDriverRef(name, env.conf(), env.rpcEnv()));
  }

  /** See {@link #caller}. */
  static final class Caller {
    private final RpcEndpointRef driver;

    private Caller(RpcEndpointRef driver) {
      this.driver = driver;
    }

    /** Sends without waiting; a message may be lost. */
    void tell(String message) {
      driver.send(message);
    }

    /** Waits for the answer, {@code spark.rpc.askTimeout} at most. */
    String ask(String message) {
      return driver.<String>askSync(message, ClassTag$.MODULE$.apply(String.class));
    }
  }

  private record Endpoint(RpcEnv rpcEnv, Consumer<String> told, Function<String, String> asked) implements RpcEndpoint {
    @Override
    public PartialFunction<Object, BoxedUnit> receive() {
      return new Texts(told);
    }

    @Override
    public PartialFunction<Object, BoxedUnit> receiveAndReply(RpcCallContext context) {
      return new Texts(question -> context.reply(asked.apply(question)));
    }
  }

  private static final class Texts extends AbstractPartialFunction<Object, BoxedUnit> {
    private final Consumer<String> take;

    Texts(Consumer<String> take) {
      this.take = take;
    }

    @Override
    public boolean isDefinedAt(Object message) {
      return message instanceof String;
    }

    @Override
    public BoxedUnit apply(Object message) {
      take.accept((String) message);
      return BoxedUnit.UNIT;
    }
  }
}

package io.flambeau.spark;

import java.util.function.Consumer;
import java.util.function.Function;
import org.apache.spark.SparkEnv;
import org.apache.spark.rpc.IsolatedThreadSafeRpcEndpoint;
import org.apache.spark.rpc.RpcCallContext;
import org.apache.spark.rpc.RpcEndpointRef;
import org.apache.spark.rpc.RpcEnv;
import org.apache.spark.util.RpcUtils;
import scala.PartialFunction;
import scala.reflect.ClassTag$;
import scala.runtime.AbstractPartialFunction;
import scala.runtime.BoxedUnit;

/**
 * Messages from executors to the driver, during one training job or as long as the application runs. It goes over Spark's own RPC
 * (its ports, its authentication) and takes milliseconds: accumulators arrive with the heartbeat, every ten seconds, and {@code
 * BarrierTaskContext.allGather} looks for its answer once a second. Messages hold only Java's own types (texts and fields), which
 * any class loader can load. Java because the RPC is open to Spark's own Scala packages only.
 */
public final class DriverChannel implements AutoCloseable {
  private final RpcEnv environment;
  private final RpcEndpointRef endpoint;

  /** Listens under {@code name} until closed, on a thread of its own, which calls all three functions. */
  public DriverChannel(String name, Consumer<String> told, Function<String, String> asked, Consumer<Object[]> given) {
    environment = SparkEnv.get().rpcEnv();
    endpoint = environment.setupEndpoint(name, new Endpoint(environment, told, asked, given));
  }

  @Override
  public void close() {
    environment.stop(endpoint);
  }

  /** The worker's end, on an executor. */
  public static Caller caller(String name) {
    SparkEnv env = SparkEnv.get();
    return new Caller(RpcUtils.makeDriverRef(name, env.conf(), env.rpcEnv()));
  }

  /** See {@link #caller}. */
  public static final class Caller {
    private final RpcEndpointRef driver;

    private Caller(RpcEndpointRef driver) {
      this.driver = driver;
    }

    /** Sends without waiting; a message may be lost. */
    public void send(String message) {
      driver.send(message);
    }

    /** Waits for the answer, {@code spark.rpc.askTimeout} at most. */
    public String ask(String message) {
      return driver.<String>askSync(message, ClassTag$.MODULE$.apply(String.class));
    }

    /** Waits until the driver has taken it, {@code spark.rpc.askTimeout} at most. */
    public void upload(Object[] fields) {
      driver.<String>askSync(fields, ClassTag$.MODULE$.apply(String.class));
    }
  }

  // No record: the compiler of Scala 2.12 does not read such.
  private static final class Endpoint implements IsolatedThreadSafeRpcEndpoint {
    private final RpcEnv rpcEnv;
    private final Consumer<String> told;
    private final Function<String, String> asked;
    private final Consumer<Object[]> given;

    Endpoint(RpcEnv rpcEnv, Consumer<String> told, Function<String, String> asked, Consumer<Object[]> given) {
      this.rpcEnv = rpcEnv;
      this.told = told;
      this.asked = asked;
      this.given = given;
    }

    @Override
    public RpcEnv rpcEnv() {
      return rpcEnv;
    }

    @Override
    public PartialFunction<Object, BoxedUnit> receive() {
      return new Messages(message -> {
        if (message instanceof String text) {
          told.accept(text);
        }
      });
    }

    @Override
    public PartialFunction<Object, BoxedUnit> receiveAndReply(RpcCallContext context) {
      return new Messages(message -> {
        if (message instanceof Object[] fields) {
          given.accept(fields);
          context.reply("");
        } else {
          context.reply(asked.apply((String) message));
        }
      });
    }
  }

  private static final class Messages extends AbstractPartialFunction<Object, BoxedUnit> {
    private final Consumer<Object> take;

    Messages(Consumer<Object> take) {
      this.take = take;
    }

    @Override
    public boolean isDefinedAt(Object message) {
      return message instanceof String || message instanceof Object[];
    }

    @Override
    public BoxedUnit apply(Object message) {
      take.accept(message);
      return BoxedUnit.UNIT;
    }
  }
}

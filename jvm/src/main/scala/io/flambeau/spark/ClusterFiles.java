package io.flambeau.spark;

import java.io.File;
import java.io.InputStream;
import java.nio.channels.Channels;
import org.apache.hadoop.conf.Configuration;
import org.apache.spark.SparkConf;
import org.apache.spark.SparkContext;
import org.apache.spark.SparkContext$;
import org.apache.spark.SparkEnv;
import org.apache.spark.deploy.SparkHadoopUtil;
import scala.Option;

/**
 * The driver's file server, which Spark itself uses to send jars and files to executors, and this process's application. Java
 * because they are open to Spark's own Scala packages only.
 *
 * <p>Files go from the driver's disk to the network (Netty sends file regions): they are never on its heap. A file is sent when a
 * task requests it.
 */
public final class ClusterFiles {
  private ClusterFiles() {}

  /** Serves a folder of the driver's disk under {@code key}, once; returns the URI under which executors find its files. */
  public static String serve(String key, File folder) {
    return SparkEnv.get().rpcEnv().fileServer().addDirectoryIfAbsent("/" + key, folder);
  }

  /** Reads a file that the driver serves. */
  public static InputStream open(String uri) {
    return Channels.newInputStream(SparkEnv.get().rpcEnv().openChannel(uri));
  }

  /** The application whose driver this process is, if it is one. */
  public static Option<SparkContext> application() {
    return SparkContext$.MODULE$.getActive();
  }

  /** Hadoop's settings of this process: its site files and its Spark configuration's {@code spark.hadoop.*}. */
  public static Configuration hadoopConfiguration() {
    SparkEnv env = SparkEnv.get();
    return SparkHadoopUtil.get().newConfiguration(env == null ? new SparkConf() : env.conf());
  }
}

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
 * The driver's file server, by which Spark itself gives executors jars and files, and what this process knows of its
 * application. Java because they are open to Spark's own Scala packages only.
 *
 * <p>Files go from the driver's disk to the network (Netty sends file regions): they never are in its heap. Nothing is sent
 * before a task asks.
 */
public final class ClusterFiles {
  private ClusterFiles() {}

  /** Offers a folder of the driver's disk under {@code key}, once; returns the URI under which executors find its files. */
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

  /** Hadoop's settings as this process has them: its site files and its Spark configuration's {@code spark.hadoop.*}. */
  public static Configuration hadoopConfiguration() {
    SparkEnv env = SparkEnv.get();
    return SparkHadoopUtil.get().newConfiguration(env == null ? new SparkConf() : env.conf());
  }
}

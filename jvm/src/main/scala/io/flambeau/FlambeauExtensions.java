package io.flambeau;

import io.flambeau.spark.SparkLine;
import org.apache.spark.sql.SparkSessionExtensions;
import scala.Function1;
import scala.runtime.BoxedUnit;

/**
 * The class for {@code spark.sql.extensions}. It checks whether Flambeau supports this version of Java and Spark; {@link
 * SessionParts} does the rest.
 *
 * <p>It is plain Java, for Java 8 (see lines.gradle), so that it loads in any Spark with any Scala and can report an unsupported version.
 * If it failed to load, Spark would only log that, and users would see unknown functions without a reason.
 */
public final class FlambeauExtensions implements Function1<SparkSessionExtensions, BoxedUnit> {
  private static final int OLDEST_JAVA = 17;

  @Override
  public BoxedUnit apply(SparkSessionExtensions extensions) {
    String java = System.getProperty("java.specification.version");
    // Java 8 says 1.8.
    if (Double.parseDouble(java) < OLDEST_JAVA) {
      throw new UnsupportedOperationException(
          "[FLAMBEAU_SETUP] Flambeau needs Java " + OLDEST_JAVA + " or newer, and this is Java " + java
              + ": set JAVA_HOME to one, for the driver and the executors");
    }
    String spark = org.apache.spark.package$.MODULE$.SPARK_VERSION();
    if (!spark.startsWith(SparkLine.NAME + ".")) {
      throw new UnsupportedOperationException(
          "[FLAMBEAU_SETUP] this jar of Flambeau is made for Spark " + SparkLine.NAME + ".x with Scala " + SparkLine.SCALA + ", and this is Spark "
              + spark + ": use flambeau-spark" + firstTwo(spark) + "_" + firstTwo(scala.util.Properties.versionNumberString())
              + ", or remove io.flambeau.FlambeauExtensions from spark.sql.extensions");
    }
    SessionParts.addTo(extensions);
    return BoxedUnit.UNIT;
  }

  /** Major and minor version. */
  private static String firstTwo(String version) {
    return version.replaceFirst("^(\\d+\\.\\d+).*", "$1");
  }
}

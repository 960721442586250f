package io.flambeau;

import io.flambeau.spark.SparkLine;
import org.apache.spark.sql.SparkSessionExtensions;
import scala.Function1;
import scala.runtime.BoxedUnit;

/**
 * The class for {@code spark.sql.extensions}. It checks whether Flambeau supports this version of Spark; {@link SessionParts}
 * does the rest.
 *
 * <p>It is plain Java, so that it loads in any Spark with any Scala and can report an unsupported version. If it failed to load,
 * Spark would only log that, and users would see unknown functions without a reason.
 */
public final class FlambeauExtensions implements Function1<SparkSessionExtensions, BoxedUnit> {
  @Override
  public BoxedUnit apply(SparkSessionExtensions extensions) {
    String spark = org.apache.spark.package$.MODULE$.SPARK_VERSION();
    if (!spark.startsWith(SparkLine.NAME + ".")) {
      throw new UnsupportedOperationException(
          "[FLAMBEAU_SETUP] this jar of Flambeau is made for Spark " + SparkLine.NAME + ".x with Scala 2.13, and this is Spark "
              + spark + ": use flambeau-spark" + spark.replaceFirst("^(\\d+\\.\\d+).*", "$1")
              + "_2.13, or remove io.flambeau.FlambeauExtensions from spark.sql.extensions");
    }
    SessionParts.addTo(extensions);
    return BoxedUnit.UNIT;
  }
}

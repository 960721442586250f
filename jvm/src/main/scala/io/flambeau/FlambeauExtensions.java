package io.flambeau;

import io.flambeau.spark.SparkLine;
import org.apache.spark.sql.SparkSessionExtensions;
import scala.Function1;
import scala.runtime.BoxedUnit;

/**
 * What {@code spark.sql.extensions=io.flambeau.FlambeauExtensions} names. It looks whether this is a Spark that Flambeau was
 * made for, and leaves the rest to {@link SessionParts}.
 *
 * <p>Java, and nothing else in it: this class must load in any Spark, with any Scala, to say so. What fails to load is only
 * logged by Spark, and the functions would then be unknown without a reason.
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

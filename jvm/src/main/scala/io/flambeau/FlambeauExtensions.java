package io.flambeau;

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
  /** The line of Spark that the classes of this jar are compiled for. */
  static final String SPARK_LINE = "4.1.";

  @Override
  public BoxedUnit apply(SparkSessionExtensions extensions) {
    String spark = org.apache.spark.package$.MODULE$.SPARK_VERSION();
    if (!spark.startsWith(SPARK_LINE)) {
      throw new UnsupportedOperationException(
          "[FLAMBEAU_SETUP] this version of Flambeau is made for Spark " + SPARK_LINE + "x with Scala 2.13, and this is Spark "
              + spark + ": use that Spark, or remove io.flambeau.FlambeauExtensions from spark.sql.extensions");
    }
    SessionParts.addTo(extensions);
    return BoxedUnit.UNIT;
  }
}

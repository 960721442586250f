package io.flambeau.spark;

import java.lang.reflect.Field;
import java.net.URL;
import org.apache.spark.ErrorClassesJsonReader;
import org.apache.spark.ErrorInfo;
import org.apache.spark.SparkThrowable;
import org.apache.spark.SparkThrowableHelper$;
import org.slf4j.LoggerFactory;
import scala.Tuple2;
import scala.collection.Iterator;
import scala.collection.immutable.List$;
import scala.collection.immutable.Map;

/**
 * Flambeau's error conditions, declared once in {@code flambeau/error-conditions.json}, in Spark's own format.
 *
 * <p>Spark looks a condition up in one list per JVM and has no way to add to it; PySpark's {@code getMessage} of an exception
 * reads it, and fails for a condition that is not in it. So {@link #makeKnown()} adds ours to the
 * list. Java because the list is open to Spark's own Scala packages only.
 */
public final class ErrorConditions {
  /** The message of each of them, with the names of parameters in angle brackets: the parameter {@code message} is the text. */
  public static final String MESSAGE_TEMPLATE = "<message>";

  private static final String RESOURCE = "flambeau/error-conditions.json";
  private static final ErrorClassesJsonReader DECLARED = read();

  private ErrorConditions() {}

  /** The SQLSTATE of one of our conditions. */
  public static String sqlState(String condition) {
    return DECLARED.getSqlState(condition);
  }

  /** The message that Spark, and so PySpark, makes of an exception. */
  public static String messageOf(SparkThrowable failure) {
    return SparkThrowableHelper$.MODULE$.getMessage(failure.getErrorClass(), failure.getMessageParameters());
  }

  /** Adds our conditions to Spark's, once. If that fails, PySpark's {@code getMessage} fails too; the exceptions keep their text. */
  public static synchronized void makeKnown() {
    if (SparkThrowableHelper$.MODULE$.errorReader().errorInfoMap().contains("FLAMBEAU_NATIVE")) {
      return;
    }
    try {
      ErrorClassesJsonReader sparks = SparkThrowableHelper$.MODULE$.errorReader();
      Map<String, ErrorInfo> all = sparks.errorInfoMap();
      for (Iterator<Tuple2<String, ErrorInfo>> ours = DECLARED.errorInfoMap().iterator(); ours.hasNext(); ) {
        Tuple2<String, ErrorInfo> one = ours.next();
        all = all.updated(one._1(), one._2());
      }
      Field field = ErrorClassesJsonReader.class.getDeclaredField("errorInfoMap");
      field.setAccessible(true);
      field.set(sparks, all);
    } catch (ReflectiveOperationException | RuntimeException cause) {
      LoggerFactory.getLogger(ErrorConditions.class).warn("Spark does not take Flambeau's error conditions", cause);
    }
  }

  private static ErrorClassesJsonReader read() {
    URL url = ErrorConditions.class.getClassLoader().getResource(RESOURCE);
    return new ErrorClassesJsonReader(List$.MODULE$.<URL>empty().$colon$colon(url));
  }
}

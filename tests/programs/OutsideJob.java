import static org.apache.spark.sql.functions.col;

import io.flambeau.functions;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.SparkSession;

/** A user's own program, in a build that depends on Flambeau: prints the label of each photo in a folder. */
public final class OutsideJob {
  public static void main(String[] arguments) {
    SparkSession spark =
        SparkSession.builder()
            .master("local[2]")
            .config("spark.ui.enabled", "false")
            .config("spark.sql.extensions", "io.flambeau.FlambeauExtensions")
            .getOrCreate();
    Dataset<Row> photos = spark.read().format("binaryFile").load(arguments[0]);
    Dataset<Row> labels =
        photos
            .select(col("path"), functions.classify(col("content"), "efficientnet_lite0", 1).as("labels"))
            .selectExpr("path", "labels[0].label");
    for (Row row : labels.collectAsList()) {
      String path = row.getString(0);
      System.out.println("label\t" + path.substring(path.lastIndexOf('/') + 1) + "\t" + row.getString(1));
    }
    spark.stop();
  }
}

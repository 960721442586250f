import dev.langchain4j.data.segment.TextSegment;
import dev.langchain4j.model.embedding.EmbeddingModel;
import dev.langchain4j.model.embedding.onnx.allminilml6v2.AllMiniLmL6V2EmbeddingModel;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;
import org.apache.spark.api.java.function.MapPartitionsFunction;
import org.apache.spark.sql.Dataset;
import org.apache.spark.sql.Encoders;
import org.apache.spark.sql.Row;
import org.apache.spark.sql.RowFactory;
import org.apache.spark.sql.types.DataTypes;
import org.apache.spark.sql.types.StructType;

/**
 * langchain4j's all-MiniLM-L6-v2 (ONNX Runtime) in mapPartitions, as a user of it writes that: one model for the JVM (its class keeps
 * it), a list of segments for each call of embedAll. `onTaskThread` gives the model an executor that runs every segment on the
 * task's own thread, so that two tasks do not share four threads; without it langchain4j starts a pool of its own.
 */
public final class GlossEmbedder {
  private GlossEmbedder() {}

  /** Columns `id` and a text to `id` and `features`. */
  public static Dataset<Row> embed(Dataset<Row> rows, int batch, boolean onTaskThread) {
    StructType schema =
        new StructType()
            .add("id", DataTypes.IntegerType)
            .add("features", DataTypes.createArrayType(DataTypes.FloatType, false));
    MapPartitionsFunction<Row, Row> function = input -> new Embedded(input, batch, onTaskThread);
    return rows.mapPartitions(function, Encoders.row(schema));
  }

  private static final class Embedded implements Iterator<Row> {
    private final Iterator<Row> input;
    private final int batch;
    private final EmbeddingModel model;
    private Iterator<Row> ready = Collections.emptyIterator();

    Embedded(Iterator<Row> input, int batch, boolean onTaskThread) {
      this.input = input;
      this.batch = batch;
      this.model = onTaskThread ? new AllMiniLmL6V2EmbeddingModel(Runnable::run) : new AllMiniLmL6V2EmbeddingModel();
    }

    @Override
    public boolean hasNext() {
      return ready.hasNext() || input.hasNext();
    }

    @Override
    public Row next() {
      if (!ready.hasNext()) {
        ready = embedded().iterator();
      }
      return ready.next();
    }

    private List<Row> embedded() {
      List<Integer> ids = new ArrayList<>(batch);
      List<TextSegment> segments = new ArrayList<>(batch);
      while (segments.size() < batch && input.hasNext()) {
        Row row = input.next();
        ids.add(row.getInt(0));
        segments.add(TextSegment.from(row.getString(1)));
      }
      List<Row> rows = new ArrayList<>(ids.size());
      Iterator<Integer> id = ids.iterator();
      model.embedAll(segments).content().forEach(found -> rows.add(RowFactory.create(id.next(), found.vector())));
      return rows;
    }
  }
}

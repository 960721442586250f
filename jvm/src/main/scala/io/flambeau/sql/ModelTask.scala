package io.flambeau.sql

import org.apache.spark.sql.types._

import io.flambeau.bridge.spec.{OutputRequest, Task}
import io.flambeau.models.{ModelSpec, OutputSpec}

/** The kind of result that a call needs. One evaluation of a model over its inputs can serve several tasks. */
sealed trait ModelTask extends Serializable {

  /** Its name on the native side. */
  def task: Task

  /** As in SQL. */
  final def name: String = task.name

  /** The result's type for this model. Everything inside is non-null; the result itself may be NULL. */
  def dataType(spec: ModelSpec): DataType
}

object ModelTask {

  /** The model's features, flattened: `array<float>`. */
  case object Featurize extends ModelTask {
    override def task: Task = Task.Featurize
    override def dataType(spec: ModelSpec): DataType = ArrayType(FloatType, containsNull = false)
  }

  /** The `k` most probable labels, best first: `array<struct<label, index, probability>>`. */
  final case class Classify(k: Int) extends ModelTask {
    override def task: Task = Task.Classify
    override def dataType(spec: ModelSpec): DataType = ArrayType(
      StructType(Seq(
          StructField("label", StringType, nullable = false),
          StructField("index", IntegerType, nullable = false),
          StructField("probability", FloatType, nullable = false))),
      containsNull = false)
  }

  /**
   * Every output as it is: a struct with one field per output, arrays nested by shape, a scalar for shape `[]`. The element type
   * is the output's own, or the closest one in Spark (f16 and bf16: float, u8: short).
   */
  case object Infer extends ModelTask {
    override def task: Task = Task.Infer
    override def dataType(spec: ModelSpec): DataType =
      StructType(spec.outputs.map(o => StructField(o.name, outputType(o), nullable = false)))

    private def outputType(output: OutputSpec): DataType =
      output.shape.foldLeft(elementType(output.dtype))((inner, _) => ArrayType(inner, containsNull = false))

    private def elementType(dtype: String): DataType = dtype match {
      case "f64" => DoubleType
      case "i64" => LongType
      case "i32" => IntegerType
      case "i16" | "u8" => ShortType
      case "i8" => ByteType
      case "bool" => BooleanType
      case _ => FloatType
    }
  }

  /**
   * The objects in a picture with a score above `threshold`, best first, with boxes in pixels of the picture:
   * `array<struct<label, index, score, box: struct<xmin, ymin, xmax, ymax>>>`.
   */
  final case class Detect(threshold: Double) extends ModelTask {
    override def task: Task = Task.Detect
    override def dataType(spec: ModelSpec): DataType = {
      val box = StructType(Seq("xmin", "ymin", "xmax", "ymax").map(StructField(_, FloatType, nullable = false)))
      ArrayType(
        StructType(Seq(
            StructField("label", StringType, nullable = false),
            StructField("index", IntegerType, nullable = false),
            StructField("score", FloatType, nullable = false),
            StructField("box", box, nullable = false))),
        containsNull = false)
    }
  }

  /** The text of a clip, and its words with their times in seconds: `struct<text, words: array<struct<word, start, end>>>`. */
  case object Transcribe extends ModelTask {
    override def task: Task = Task.Transcribe
    override def dataType(spec: ModelSpec): DataType = {
      val word = StructType(Seq(
          StructField("word", StringType, nullable = false),
          StructField("start", DoubleType, nullable = false),
          StructField("end", DoubleType, nullable = false)))
      StructType(Seq(
          StructField("text", StringType, nullable = false),
          StructField("words", ArrayType(word, containsNull = false), nullable = false)))
    }
  }

  /** Why a row is bad, as text; NULL for a good row and for one with a NULL input. ML stages put it into `errorCol`. */
  case object Error extends ModelTask {
    override def task: Task = Task.Error
    override def dataType(spec: ModelSpec): DataType = StringType
  }

  /** The default number of labels of `classify`. */
  val DefaultK = 5

  /** The default threshold of `detect`: that of transformers' pipeline. */
  val DefaultThreshold = 0.5
}

/**
 * A task, and what becomes of a bad row.
 *
 * @param nullOnError
 *   the `try_` variant: NULL for a bad row instead of a failed query
 */
final case class ModelRequest(task: ModelTask, nullOnError: Boolean) {

  /** The SQL function's name. */
  def function: String = if (nullOnError) s"try_${task.name}" else task.name

  def toOutputRequest: OutputRequest = task match {
    case ModelTask.Classify(k) => OutputRequest(task.task, k, 0, nullOnError)
    case ModelTask.Detect(threshold) => OutputRequest(task.task, 0, threshold, nullOnError)
    case _ => OutputRequest(task.task, 0, 0, nullOnError)
  }
}

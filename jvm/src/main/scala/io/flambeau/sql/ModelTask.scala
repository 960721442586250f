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
    override def dataType(spec: ModelSpec): DataType = ofLabels
  }

  /** Labels with their probabilities. */
  private[sql] val ofLabels: DataType = listOf("label" -> StringType, "index" -> IntegerType, "probability" -> FloatType)

  /** A struct without NULL inside. */
  private def struct(fields: (String, DataType)*): StructType =
    StructType(fields.map { case (name, dataType) => StructField(name, dataType, nullable = false) })

  private def listOf(fields: (String, DataType)*): DataType = ArrayType(struct(fields: _*), containsNull = false)

  /**
   * Every output as it is: a struct with one field per output, arrays nested by shape, a scalar for shape `[]`. The element type
   * is the output's own, or the closest one in Spark (f16 and bf16: float, u8: short).
   */
  case object Infer extends ModelTask {
    override def task: Task = Task.Infer
    override def dataType(spec: ModelSpec): DataType = struct(spec.outputs.map(o => o.name -> outputType(o)): _*)

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
      val box = struct(Seq("xmin", "ymin", "xmax", "ymax").map(_ -> FloatType): _*)
      listOf("label" -> StringType, "index" -> IntegerType, "score" -> FloatType, "box" -> box)
    }
  }

  /**
   * The class of each pixel of a picture, as a grayscale PNG of its size, and how much of it each class has, the largest first:
   * `struct<map, segments: array<struct<label, index, pixels, share>>>`.
   */
  case object Segment extends ModelTask {
    override def task: Task = Task.Segment
    override def dataType(spec: ModelSpec): DataType = {
      val segments = listOf("label" -> StringType, "index" -> IntegerType, "pixels" -> LongType, "share" -> FloatType)
      struct("map" -> BinaryType, "segments" -> segments)
    }
  }

  /** The text of a clip, and its words with their times in seconds: `struct<text, words: array<struct<word, start, end>>>`. */
  case object Transcribe extends ModelTask {
    override def task: Task = Task.Transcribe
    override def dataType(spec: ModelSpec): DataType =
      struct("text" -> StringType, "words" -> listOf("word" -> StringType, "start" -> DoubleType, "end" -> DoubleType))
  }

  /** How well the second text of a pair fits the first: `float`. */
  case object Rerank extends ModelTask {
    override def task: Task = Task.Rerank
    override def dataType(spec: ModelSpec): DataType = FloatType
  }

  /** What a text names: `array<struct<label, score, start, end, text>>`, in the order of the text. */
  case object Entities extends ModelTask {
    override def task: Task = Task.Entities
    override def dataType(spec: ModelSpec): DataType =
      listOf("label" -> StringType, "score" -> FloatType, "start" -> IntegerType, "end" -> IntegerType, "text" -> StringType)
  }

  /** The part of a context that answers a question: `struct<answer, score, start, end>`. */
  case object Answer extends ModelTask {
    override def task: Task = Task.Answer
    override def dataType(spec: ModelSpec): DataType =
      struct("answer" -> StringType, "score" -> FloatType, "start" -> IntegerType, "end" -> IntegerType)
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

  /** The second text of `zero_shot` unless a template is given; `{}` stands for the label. */
  val HypothesisTemplate = "This example is {}."
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

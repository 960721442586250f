package io.flambeau

import org.apache.spark.sql.Column
import org.apache.spark.sql.functions.{array, call_function, lit}

import io.flambeau.sql.{ModelTask, SessionCheck}

/**
 * Models as column functions, comparisons of the vectors that they give, and the content of files; the same as the SQL functions of these names.
 * They need a session with
 * `spark.sql.extensions=io.flambeau.FlambeauExtensions` (on the server, for Spark Connect).
 *
 * NULL in, NULL out. `model` is a path, a URI or a name (see `spark.flambeau.models.path`). Bad input fails the query; the `try_`
 * variants return NULL for it. A session without the extension is refused here (FLAMBEAU_SETUP). Over Connect the server reports
 * an unknown routine.
 */
object functions {

  /** The model's features of `input`: `array<float>`. */
  def featurize(input: Column, model: String): Column = call("featurize", input, lit(model))

  /** As [[featurize]], but NULL for bad input. */
  def try_featurize(input: Column, model: String): Column = call("try_featurize", input, lit(model))

  /** The `k` most probable labels, best first: `array<struct<label: string, index: int, probability: float>>`. */
  def classify(input: Column, model: String, k: Int = ModelTask.DefaultK): Column =
    call("classify", input, lit(model), lit(k))

  /** As [[classify]], but NULL for bad input. */
  def try_classify(input: Column, model: String, k: Int = ModelTask.DefaultK): Column =
    call("try_classify", input, lit(model), lit(k))

  /** Every output of the model, as a struct with a field for each. `inputs` are in the model's own order. */
  def infer(model: String, inputs: Column*): Column = call("infer", lit(model) +: inputs: _*)

  /** As [[infer]], but NULL for bad input. */
  def try_infer(model: String, inputs: Column*): Column = call("try_infer", lit(model) +: inputs: _*)

  /**
   * The objects in a picture with a score above `threshold`, best first: `array<struct<label: string, index: int, score: float, box:
   * struct<xmin: float, ymin: float, xmax: float, ymax: float>>>`. Boxes are in pixels of the picture, after its EXIF orientation if the
   * model's package applies that. The model's outputs have the roles `boxes` and `box_scores`.
   */
  def detect(image: Column, model: String, threshold: Double = ModelTask.DefaultThreshold): Column =
    call("detect", image, lit(model), lit(threshold))

  /** As [[detect]], but NULL for bad input. */
  def try_detect(image: Column, model: String, threshold: Double = ModelTask.DefaultThreshold): Column =
    call("try_detect", image, lit(model), lit(threshold))

  /**
   * The class of each pixel of a picture, and the classes that it has, the largest first: `struct<map: binary, segments:
   * array<struct<label: string, index: int, pixels: bigint, share: float>>>`. `map` is a grayscale PNG of the picture's size, after its EXIF
   * orientation if the model's package applies that. Its values are the indices of classes. Pixels that the package's crop cuts off have 255
   * (65535 in a model of more than 255 classes). `share` is of all pixels. The model's output has the role `pixel_scores`.
   */
  def segment(image: Column, model: String): Column = call("segment", image, lit(model))

  /** As [[segment]], but NULL for bad input. */
  def try_segment(image: Column, model: String): Column = call("try_segment", image, lit(model))

  /**
   * The text of a clip, and its words with their times in seconds: `struct<text: string, words: array<struct<word: string, start: double,
   * end: double>>>`. The model's output has the role `ctc`.
   */
  def transcribe(audio: Column, model: String): Column = call("transcribe", audio, lit(model))

  /** As [[transcribe]], but NULL for bad input. */
  def try_transcribe(audio: Column, model: String): Column = call("try_transcribe", audio, lit(model))

  /**
   * How well `text` fits `query`: the score that a model of pairs of texts gives, after its activation, a float. What
   * sentence-transformers' `CrossEncoder.predict` gives.
   */
  def rerank(query: Column, text: Column, model: String): Column = call("rerank", query, text, lit(model))

  /** As [[rerank]], but NULL for bad input. */
  def try_rerank(query: Column, text: Column, model: String): Column = call("try_rerank", query, text, lit(model))

  /**
   * What `text` names, in its order: `array<struct<label: string, score: float, start: int, end: int, text: string>>`. Positions count
   * characters (Unicode code points) from 0, `end` is exclusive.
   */
  def entities(text: Column, model: String): Column = call("entities", text, lit(model))

  /** As [[entities]], but NULL for bad input. */
  def try_entities(text: Column, model: String): Column = call("try_entities", text, lit(model))

  /** The part of `context` that answers `question`: `struct<answer: string, score: float, start: int, end: int>`. Positions as in [[entities]]. */
  def answer(question: Column, context: Column, model: String): Column = call("answer", question, context, lit(model))

  /** As [[answer]], but NULL for bad input. */
  def try_answer(question: Column, context: Column, model: String): Column = call("try_answer", question, context, lit(model))

  /**
   * Labels that the model need not know, the most probable first: `array<struct<label: string, index: int, probability: float>>`. The model
   * says of two texts whether the second follows from the first (natural language inference).
   *
   * @param multiLabel
   *   whether several labels may be right
   * @param hypothesisTemplate
   *   the second text, with `{}` for the label
   */
  def zero_shot(
      text: Column, labels: Seq[String], model: String, multiLabel: Boolean = false,
      hypothesisTemplate: String = ModelTask.HypothesisTemplate): Column =
    call("zero_shot", text, array(labels.map(lit(_)): _*), lit(model), lit(multiLabel), lit(hypothesisTemplate))

  /** As [[zero_shot]], but NULL for bad input. */
  def try_zero_shot(
      text: Column, labels: Seq[String], model: String, multiLabel: Boolean = false,
      hypothesisTemplate: String = ModelTask.HypothesisTemplate): Column =
    call("try_zero_shot", text, array(labels.map(lit(_)): _*), lit(model), lit(multiLabel), lit(hypothesisTemplate))

  /**
   * The cosine of the angle between two vectors (arrays of numbers, or ML vectors): a double. NULL if an argument or an element is
   * NULL, or if a vector has length 0. Vectors that differ in their number of elements fail the query (FLAMBEAU_BAD_INPUT).
   */
  def cosine_similarity(left: Column, right: Column): Column = call("cosine_similarity", left, right)

  /** The sum of the products of the elements of two vectors; as for [[cosine_similarity]]. */
  def dot(left: Column, right: Column): Column = call("dot", left, right)

  /** The Euclidean distance of two vectors; as for [[cosine_similarity]]. */
  def l2_distance(left: Column, right: Column): Column = call("l2_distance", left, right)

  /**
   * The content of the file at a path or URI, as binary. NULL for NULL. A file that cannot be read fails the query (FLAMBEAU_BAD_INPUT).
   * Files of the next rows are read at the same time: `spark.flambeau.read.parallelism`.
   */
  def read_bytes(path: Column): Column = call("read_bytes", path)

  /** As [[read_bytes]], but NULL for a file that cannot be read. */
  def try_read_bytes(path: Column): Column = call("try_read_bytes", path)

  /** Reports at once what a session lacks, if the session is in this process. */
  private def call(function: String, arguments: Column*): Column = {
    try SessionCheck.requireActive(function)
    catch { case _: LinkageError => () } // a Connect client has no classic sessions to ask
    call_function(function, arguments: _*)
  }
}

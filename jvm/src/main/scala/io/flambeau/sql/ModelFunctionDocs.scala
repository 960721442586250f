package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.ExpressionInfo

/** The text of `DESCRIBE FUNCTION EXTENDED` for each function. */
private[sql] object ModelFunctionDocs {

  val Model: String =
    "      * model - the model, a string literal: a path or URI of a folder, a .zip or a .pt file, a name under spark.flambeau.models.path, or one embedded in a jar\n"

  private val Input =
    "      * input - BINARY (an encoded image or sound) or an image struct, STRING, or a number, an array of numbers or an ML vector, as the model requires\n"

  def onBadInput(nullOnError: Boolean): String =
    if (nullOnError) "Bad input gives NULL." else "Bad input fails the query; the try_ variant gives NULL instead."

  def featurize(nullOnError: Boolean): ExpressionInfo = info(
    if (nullOnError) "try_featurize" else "featurize",
    s"_FUNC_(input, model) - The model's features of the input, as array<float>. NULL for NULL. ${onBadInput(nullOnError)}",
    Input + Model,
    "SELECT size(_FUNC_(content, 'efficientnet_lite0')) FROM photos LIMIT 1;\n       1280")

  def classify(nullOnError: Boolean): ExpressionInfo = info(
    if (nullOnError) "try_classify" else "classify",
    "_FUNC_(input, model[, k]) - The k most probable labels, best first, as " +
      s"array<struct<label:string,index:int,probability:float>>. NULL for NULL. ${onBadInput(nullOnError)}",
    Input + Model + s"      * k - maximum number of labels, a whole number literal; default ${ModelTask.DefaultK}\n",
    "SELECT _FUNC_(content, 'efficientnet_lite0', 1)[0].label FROM photos LIMIT 1;\n       tabby")

  def infer(nullOnError: Boolean): ExpressionInfo = info(
    if (nullOnError) "try_infer" else "infer",
    s"_FUNC_(model, inputs...) - Every output of the model, as a struct with a field for each. NULL if any input is. ${onBadInput(nullOnError)}",
    Model + "      * inputs - the model's inputs, in its order or by their names\n",
    "SELECT _FUNC_('efficientnet_lite0', content).features[0] FROM photos LIMIT 1;\n       0.1")

  def detect(nullOnError: Boolean): ExpressionInfo = info(
    if (nullOnError) "try_detect" else "detect",
    "_FUNC_(image, model[, threshold]) - The objects in a picture, best first, with boxes in pixels of the picture, as " +
      "array<struct<label:string,index:int,score:float,box:struct<xmin:float,ymin:float,xmax:float,ymax:float>>>. " +
      s"NULL for NULL. ${onBadInput(nullOnError)}",
    "      * image - BINARY (an encoded image) or an image struct\n" + Model +
      s"      * threshold - objects with this score or less are left out, a number literal from 0 to 1; default ${ModelTask.DefaultThreshold}\n",
    "SELECT _FUNC_(content, 'packages/detr', 0.9)[0].label FROM photos LIMIT 1;\n       cat")

  def segment(nullOnError: Boolean): ExpressionInfo = info(
    if (nullOnError) "try_segment" else "segment",
    "_FUNC_(image, model) - The class of each pixel of a picture, as a grayscale PNG of its size, and the classes that it has, the largest " +
      s"first, as struct<map:binary,segments:array<struct<label:string,index:int,pixels:bigint,share:float>>>. NULL for NULL. ${onBadInput(nullOnError)}",
    "      * image - BINARY (an encoded image) or an image struct\n" + Model,
    "SELECT _FUNC_(content, 'packages/segformer').segments[0].label FROM photos LIMIT 1;\n       sky")

  def transcribe(nullOnError: Boolean): ExpressionInfo = info(
    if (nullOnError) "try_transcribe" else "transcribe",
    "_FUNC_(audio, model) - The text of a clip and its words with their times in seconds, as " +
      s"struct<text:string,words:array<struct<word:string,start:double,end:double>>>. NULL for NULL. ${onBadInput(nullOnError)}",
    "      * audio - BINARY, an encoded sound\n" + Model,
    "SELECT _FUNC_(content, 'packages/wav2vec2').text FROM recordings LIMIT 1;\n       A MAN SAID TO THE UNIVERSE")

  def info(name: String, usage: String, arguments: String, example: String): ExpressionInfo =
    new ExpressionInfo(
      classOf[ModelCall].getName,
      null,
      name,
      usage,
      s"\n    Arguments:\n$arguments  ",
      s"\n    Examples:\n      > $example\n  ",
      "",
      "",
      "",
      "",
      "scala_udf")
}

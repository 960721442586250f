package io.flambeau.ml

import org.apache.spark.ml.param.{BooleanParam, Param, Params}

import io.flambeau.DidYouMean
import io.flambeau.conf.Values

/*
 * The parameters that the stages share. Names, defaults and documentation are the same in Python (flambeau.ml).
 */

private[ml] object StageParams {
  def notEmpty(value: String): Boolean = value.nonEmpty

  /** A finite number above 0. Infinity is no JSON, and native code takes what it is sent. */
  val positive: Double => Boolean = value => value > 0 && !value.isInfinite

  /** A finite number, 0 or above. */
  val notNegative: Double => Boolean = value => value >= 0 && !value.isInfinite

  /** Whether a value is one of these words. Others are rejected here, since Spark's own message does not list the words. */
  def oneOf(param: String, words: Array[String]): String => Boolean = value =>
    words.contains(value) || {
      throw new IllegalArgumentException(s"$param is '$value', but it must be ${Values.oneOf(words.toSeq)}${DidYouMean.hint(value, words)}")
    }
}

/** The column with the model's input. */
trait HasInput extends Params {

  /** Column that the model reads: BINARY or Spark's image struct for images, BINARY for sound, STRING for text. No default. */
  final val inputCol: Param[String] = new Param[String](this, "inputCol", "column that the model reads", StageParams.notEmpty _)

  final def getInputCol: String = $(inputCol)

  def setInputCol(value: String): this.type = set(inputCol, value)
}

/** The column for the result. */
trait HasOutput extends Params {

  /** New column, which must not exist yet. No default. */
  final val outputCol: Param[String] =
    new Param[String](this, "outputCol", "new column; must not exist yet", StageParams.notEmpty _)

  final def getOutputCol: String = $(outputCol)

  def setOutputCol(value: String): this.type = set(outputCol, value)
}

/** The model of the image, text and audio stages. */
trait HasModelName extends Params {

  /** Model: a name (looked up in spark.flambeau.models.path, then in jars), a path or a URI. No default. */
  final val modelName: Param[String] = new Param[String](
    this, "modelName", "model: a name (looked up in spark.flambeau.models.path, then in jars), a path or a URI", StageParams.notEmpty _)

  final def getModelName: String = $(modelName)

  def setModelName(value: String): this.type = set(modelName, value)
}

/** What happens to rows that cannot be read, or whose input is NULL. */
trait HasInvalid extends Params {

  /** `error` (default): the query fails; `skip`: the row is dropped; `keep`: the result is NULL. */
  final val handleInvalid: Param[String] = new Param[String](
    this,
    "handleInvalid",
    "what happens to a row whose input is NULL or cannot be read: error (the query fails), skip (the row is dropped), keep (the result is NULL)",
    StageParams.oneOf("handleInvalid", HasInvalid.Options))

  /** Column for the reason, NULL for rows that have a result; only with handleInvalid = keep. Not set: no such column. */
  final val errorCol: Param[String] = new Param[String](
    this,
    "errorCol",
    "new column with the reason why a row has no result, NULL for the others; only with handleInvalid = keep",
    StageParams.notEmpty _)

  setDefault(handleInvalid -> HasInvalid.Error)

  final def getHandleInvalid: String = $(handleInvalid)

  def setHandleInvalid(value: String): this.type = set(handleInvalid, value)

  final def getErrorCol: String = $(errorCol)

  def setErrorCol(value: String): this.type = set(errorCol, value)
}

object HasInvalid {
  private[ml] val Error = "error"
  private[ml] val Skip = "skip"
  private[ml] val Keep = "keep"
  private[ml] val Options = Array(Error, Skip, Keep)
}

/** The type of numbers in a row. */
trait HasOutputType extends Params {

  /** `vector`: Spark ML's vector, what its estimators take; `array`: what SQL has. */
  final val outputType: Param[String] = new Param[String](
    this, "outputType", "type of numbers in a row: vector (Spark ML's) or array", StageParams.oneOf("outputType", HasOutputType.Options))

  final def getOutputType: String = $(outputType)

  def setOutputType(value: String): this.type = set(outputType, value)

  private[ml] final def asVector: Boolean = $(outputType) == HasOutputType.Vector
}

object HasOutputType {
  private[ml] val Vector = "vector"
  private[ml] val Array = "array"
  private[ml] val Options = scala.Array(Vector, Array)
}

/** Whether a saved stage contains its model. */
trait HasSavePackage extends Params {

  /** Whether a saved stage carries a copy of its model package (default), or only the model's name or URI. */
  final val savePackage: BooleanParam = new BooleanParam(
    this, "savePackage", "whether a saved stage carries a copy of its model package, or only the model's name or URI")

  setDefault(savePackage -> true)

  final def getSavePackage: Boolean = $(savePackage)

  def setSavePackage(value: Boolean): this.type = set(savePackage, value)
}

package io.flambeau.ml

import scala.jdk.CollectionConverters._
import scala.util.control.NonFatal

import org.apache.spark.ml.param.{DoubleParam, BooleanParam, IntParam, Param, Params, ParamValidators, StringArrayParam}
import org.apache.spark.ml.param.shared.HasFeaturesCol

import io.flambeau.DidYouMean
import io.flambeau.bridge.Json
import io.flambeau.bridge.spec.{AugmentSpec, LearningRateFactor}
import io.flambeau.train.Program

/** A trained program: the package, its input columns, its frozen parameters, and its output for the loss. */
trait HasProgram extends Params with HasFeaturesCol {

  /** The trainable package (`flambeau.export.trainable`): a name, path or URI. No default. */
  final val modelName: Param[String] = new Param[String](
    this, "modelName", "trainable package (flambeau.export.trainable): a name (looked up in spark.flambeau.models.path, then in jars), a path or a URI",
    StageParams.notEmpty _)

  /** Column to input of the program, a JSON object. Not set: `featuresCol` feeds the only input, or each input reads the column of its own name. */
  final val inputMapping: Param[String] = new Param[String](
    this, "inputMapping",
    "which column feeds which input of the program, a JSON object from column to input; not set: featuresCol feeds the only input, or columns are named as the inputs",
    HasProgram.isMapping _)

  /** The output that the loss is of; not set: the first. */
  final val outputName: Param[String] = new Param[String](
    this, "outputName", "output of the program that the loss is computed of; not set: the first", StageParams.notEmpty _)

  /** Patterns of parameter names that stay as they are: whole names, or beginnings with `*` after; default none. */
  final val frozen: StringArrayParam = new StringArrayParam(
    this, "frozen", "names of parameters that do not change: a name, a module's name, a pattern with *, or a regular expression")

  /** Factors of the learning rate of some parameters, a JSON object from a pattern (as in `frozen`) to a factor. Not set: all have the same. */
  final val learningRateFactors: Param[String] = new Param[String](
    this, "learningRateFactors",
    "factors of the learning rate of some parameters, a JSON object from a pattern as in frozen to a factor above 0; not set: all have the same",
    HasProgram.areFactors _)

  /** Patterns (as in `frozen`) of parameters that `weightDecay` leaves alone; default none. */
  final val noWeightDecay: StringArrayParam = new StringArrayParam(
    this, "noWeightDecay", "names of parameters that weightDecay does not pull towards zero, in the forms of frozen; usually biases and normalization")

  /** Methods of the program for metrics on the validation rows; default none. */
  final val metricMethods: StringArrayParam = new StringArrayParam(
    this, "metricMethods",
    "methods of the program that take the output and the labels and return a number for each row: their means over the validation rows are in the history")

  setDefault(frozen -> Array.empty[String], noWeightDecay -> Array.empty[String], metricMethods -> Array.empty[String])

  final def getModelName: String = $(modelName)
  def setModelName(value: String): this.type = set(modelName, value)
  def setFeaturesCol(value: String): this.type = set(featuresCol, value)
  final def getInputMapping: Map[String, String] = HasProgram.mapping($(inputMapping))
  def setInputMapping(value: Map[String, String]): this.type = set(inputMapping, Json.write(value))
  final def getOutputName: String = $(outputName)
  def setOutputName(value: String): this.type = set(outputName, value)
  final def getFrozen: Array[String] = $(frozen)
  def setFrozen(value: Array[String]): this.type = set(frozen, value)
  final def getLearningRateFactors: Map[String, Double] = HasProgram.factors($(learningRateFactors))
  def setLearningRateFactors(value: Map[String, Double]): this.type = set(learningRateFactors, Json.write(value))
  final def getNoWeightDecay: Array[String] = $(noWeightDecay)
  def setNoWeightDecay(value: Array[String]): this.type = set(noWeightDecay, value)
  final def getMetricMethods: Array[String] = $(metricMethods)
  def setMetricMethods(value: Array[String]): this.type = set(metricMethods, value)

  /** Which parameters are trained, and how. */
  private[ml] final def parameterSettings: Program.ParameterSettings = Program.ParameterSettings(
    $(frozen).toSeq, get(learningRateFactors).toSeq.flatMap(HasProgram.factors(_).map { case (pattern, factor) => LearningRateFactor(pattern, factor) }),
    $(noWeightDecay).toSeq)

  /** The columns in the order of the program's inputs. */
  private[ml] final def columnsOf(inputs: Seq[String], fail: String => Nothing): Seq[String] =
    if (!isDefined(inputMapping)) { if (inputs.length == 1) Seq($(featuresCol)) else inputs }
    else {
      val byColumn = getInputMapping
      byColumn.values.find(!inputs.contains(_)).foreach { name =>
        fail(s"inputMapping names the input '$name'; the program has ${inputs.mkString(", ")}${DidYouMean.hint(name, inputs)}")
      }
      inputs.map { input =>
        byColumn.collect { case (column, `input`) => column }.toSeq match {
          case Seq(column) => column
          case Seq() => fail(s"inputMapping gives no column to input '$input'")
          case several => fail(s"inputMapping gives input '$input' several columns: ${several.sorted.mkString(", ")}")
        }
      }
    }
}

object HasProgram {
  private[ml] def mapping(json: String): Map[String, String] =
    Json.read(json).properties().asScala.map(entry => entry.getKey -> entry.getValue.asText).toMap

  private[ml] def isMapping(json: String): Boolean =
    try {
      val root = Json.read(json)
      root.isObject && root.elements().asScala.forall(_.isTextual)
    } catch { case NonFatal(_) => false }

  private[ml] def factors(json: String): Map[String, Double] =
    Json.read(json).properties().asScala.map(entry => entry.getKey -> entry.getValue.asDouble).toMap

  private[ml] def areFactors(json: String): Boolean =
    try {
      val root = Json.read(json)
      root.isObject && root.elements().asScala.forall(factor => factor.isNumber && StageParams.positive(factor.asDouble))
    } catch { case NonFatal(_) => false }
}

/** Rows that are pairs, for the loss `contrastive`. */
trait HasPairs extends Params {

  /** The column of each row's partner, which the program reads as it reads `featuresCol`. No default. */
  final val pairCol: Param[String] = new Param[String](
    this, "pairCol", "column of each row's partner, for the loss contrastive; the program reads it as it reads featuresCol", StageParams.notEmpty _)

  /** What similarities are divided by; default 0.05. */
  final val temperature: DoubleParam = new DoubleParam(
    this, "temperature", "loss contrastive only: what the similarities of outputs are divided by", StageParams.positive)

  setDefault(temperature -> 0.05)

  final def getPairCol: String = $(pairCol)
  def setPairCol(value: String): this.type = set(pairCol, value)
  final def getTemperature: Double = $(temperature)
  def setTemperature(value: Double): this.type = set(temperature, value)
}

/** Random changes of the training images, drawn again for each row and epoch. */
trait HasAugmentation extends Params {

  /** Mirrors half of the images left to right; default false. */
  final val augmentFlip: BooleanParam = new BooleanParam(this, "augmentFlip", "whether half of the training images are mirrored left to right")

  /** Pixels; default 0. */
  final val augmentShift: IntParam = new IntParam(
    this, "augmentShift", "maximum number of pixels that training images are shifted by, in each direction", ParamValidators.gtEq(0))

  /** A share; default 0. */
  final val augmentColorJitter: DoubleParam = new DoubleParam(
    this, "augmentColorJitter", "maximum share that brightness and contrast of training images change by, from 0 to 1", ParamValidators.inRange(0, 1))

  setDefault(augmentFlip -> false, augmentShift -> 0, augmentColorJitter -> 0.0)

  final def getAugmentFlip: Boolean = $(augmentFlip)
  def setAugmentFlip(value: Boolean): this.type = set(augmentFlip, value)
  final def getAugmentShift: Int = $(augmentShift)
  def setAugmentShift(value: Int): this.type = set(augmentShift, value)
  final def getAugmentColorJitter: Double = $(augmentColorJitter)
  def setAugmentColorJitter(value: Double): this.type = set(augmentColorJitter, value)

  /** For the native side; None: no changes. */
  private[ml] final def augmentation: Option[AugmentSpec] =
    Some(AugmentSpec($(augmentFlip), $(augmentShift), $(augmentColorJitter))).filter(a => a.flip || a.shift > 0 || a.colorJitter > 0)
}

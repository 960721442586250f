package io.flambeau.ml

import scala.util.Random

import com.fasterxml.jackson.annotation.{JsonSubTypes, JsonTypeInfo}
import org.apache.spark.ml.param.{Param, ParamMap, ParamPair, Params}

import io.flambeau.FlambeauAnalysisException
import io.flambeau.bridge.Json

/*
 * The space of a search. A space is a value: it names parameters by the uid of their stage and by name, each with a distribution,
 * so it can be stored as JSON. Only `candidates` looks for the stages that it names. Driver only, any thread.
 */

/** A parameter of a stage, by name, as a file stores a `Param`. */
final case class ParamRef(parent: String, name: String) {

  /** That parameter of the estimator, or of a stage inside of it. */
  private[ml] def in(estimator: Params): Param[Any] = {
    val owner = ParamRef.stages(estimator).find(_.uid == parent).filter(_.hasParam(name))
      .getOrElse(SearchSpace.fail(s"neither ${estimator.uid} nor a stage inside of it has the parameter $name of $parent"))
    owner.getParam(name).asInstanceOf[Param[Any]]
  }

  override def toString: String = s"$parent.$name"
}

private[ml] object ParamRef {
  def of(param: Param[_]): ParamRef = ParamRef(param.parent, param.name)

  /** The stage and all that its parameters hold: a pipeline's stages, a validator's estimator. */
  private def stages(stage: Params): Seq[Params] = stage +: stage.extractParamMap().toSeq.flatMap { pair =>
    pair.value match {
      case inner: Params => stages(inner)
      case several: Array[_] => several.toSeq.collect { case inner: Params => inner }.flatMap(stages)
      case _ => Nil
    }
  }
}

/** The distribution of one parameter. Values of `Choice` are JSON, written by their parameter. */
@JsonTypeInfo(use = JsonTypeInfo.Id.NAME, property = "kind")
@JsonSubTypes(Array(
    new JsonSubTypes.Type(value = classOf[Draw.Uniform], name = "uniform"),
    new JsonSubTypes.Type(value = classOf[Draw.LogUniform], name = "logUniform"),
    new JsonSubTypes.Type(value = classOf[Draw.Integer], name = "integer"),
    new JsonSubTypes.Type(value = classOf[Draw.Choice], name = "choice")))
private[ml] sealed trait Draw

private[ml] object Draw {
  final case class Uniform(low: Double, high: Double) extends Draw
  final case class LogUniform(low: Double, high: Double) extends Draw
  final case class Integer(low: Int, high: Int) extends Draw
  final case class Choice(values: Seq[String]) extends Draw

  def from(draw: Draw, param: Param[Any], random: Random): Any = draw match {
    case Uniform(low, high) => low + (high - low) * random.nextDouble()
    case LogUniform(low, high) => math.exp(math.log(low) + (math.log(high) - math.log(low)) * random.nextDouble())
    case Integer(low, high) => low + math.floor(random.nextDouble() * (high.toLong - low + 1)).toInt
    case Choice(values) => param.jsonDecode(values(random.nextInt(values.length)))
  }
}

/**
 * What a search draws its parameter sets from: parameters of the estimator, or of stages inside it, each with its distribution.
 * Immutable: every method returns a space with one more parameter, or with another distribution for it.
 *
 * {{{
 * val space = new SearchSpace().logUniform(head.learningRate, 1e-4, 1e-1).choice(head.hiddenLayers, Array.empty[Int], Array(64))
 * }}}
 */
final class SearchSpace private (private[ml] val draws: Seq[(ParamRef, Draw)]) extends Serializable {
  def this() = this(Nil)

  /** A number between `low` and `high`, all equally likely. */
  def uniform(param: Param[Double], low: Double, high: Double): SearchSpace = {
    ordered("uniform", param, low, high)
    plus(param, Draw.Uniform(low, high))
  }

  /** A number between `low` and `high`, both above 0, all orders of magnitude equally likely: right for learning rates. */
  def logUniform(param: Param[Double], low: Double, high: Double): SearchSpace = {
    if (!(low > 0)) SearchSpace.fail(s"logUniform of ${param.name} needs 0 < low, not $low")
    ordered("logUniform", param, low, high)
    plus(param, Draw.LogUniform(low, high))
  }

  /** A whole number from `low` to `high`, both included. */
  def integer(param: Param[Int], low: Int, high: Int): SearchSpace = {
    ordered("integer", param, low, high)
    plus(param, Draw.Integer(low, high))
  }

  /** One of the values. */
  def choice[T](param: Param[T], values: T*): SearchSpace = {
    if (values.isEmpty) SearchSpace.fail(s"choice of ${param.name} needs at least one value")
    plus(param, Draw.Choice(values.map(param.jsonEncode)))
  }

  private def ordered(what: String, param: Param[_], low: Double, high: Double): Unit =
    if (!(low <= high) || low.isInfinite || high.isInfinite) SearchSpace.fail(s"$what of ${param.name} needs low <= high, both finite, not $low and $high")

  private def plus(param: Param[_], draw: Draw): SearchSpace = {
    val ref = ParamRef.of(param)
    new SearchSpace(draws.filterNot(_._1 == ref) :+ (ref -> draw))
  }

  /** This many parameter sets of this estimator; the same seed gives the same sets. */
  private[ml] def candidates(estimator: Params, count: Int, seed: Long): Seq[ParamMap] = {
    if (draws.isEmpty) SearchSpace.fail("the space of a search has no parameter")
    val random = new Random(seed)
    val params = draws.map { case (ref, draw) => (ref.in(estimator), draw) }
    Seq.fill(count)(ParamMap(params.map { case (param, draw) => ParamPair(param, Draw.from(draw, param, random)) }: _*))
  }

  override def equals(other: Any): Boolean = other match {
    case space: SearchSpace => space.draws == draws
    case _ => false
  }

  override def hashCode: Int = draws.hashCode

  override def toString: String = draws.map { case (ref, draw) => s"$ref: $draw" }.mkString("SearchSpace(", ", ", ")")
}

private[ml] object SearchSpace {

  /** A parameter and its distribution in a file. */
  private[ml] final case class Entry(param: ParamRef, draw: Draw)

  def write(space: SearchSpace): String = Json.write(space.draws.map { case (ref, draw) => Entry(ref, draw) })

  def read(json: String): SearchSpace = new SearchSpace(Json.listOf[Entry](json).map(entry => entry.param -> entry.draw))

  def fail(why: String): Nothing = throw new FlambeauAnalysisException("FLAMBEAU_BAD_ARGUMENT", why)
}

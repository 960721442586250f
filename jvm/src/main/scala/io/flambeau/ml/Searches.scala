package io.flambeau.ml

import org.apache.spark.ml.param.{IntParam, Param, ParamMap, ParamValidators}
import org.apache.spark.ml.util.{DefaultParamsReadable, Identifiable, MLReader}
import org.apache.spark.sql.DataFrame
import org.apache.spark.sql.types.StructType

import io.flambeau.bridge.Json

/*
 * The searches, in addition to MLlib's grid: random search, and successive halving. Shared code is in Search.
 */

/**
 * Tries `numTrials` parameter sets drawn at random.
 *
 * {{{
 * val head = new TorchClassifier().setMaxEpochs(20)
 * val space = new SearchSpace().logUniform(head.learningRate, 1e-4, 1e-1)
 * val found = new RandomSearch().setEstimator(head).setSpace(space).setEvaluator(evaluator).fit(rows)
 * found.bestModel; found.avgMetrics; found.trials.show()
 * }}}
 */
class RandomSearch(override val uid: String) extends Search[RandomSearch] {
  def this() = this(Identifiable.randomUID("randomSearch"))

  override private[ml] def run(train: DataFrame, held: DataFrame): Found = {
    val maps = candidates
    val results = tried(train, held, maps)
    val order = ranked(results.map(_._2))
    Found(results(order.head)._1, order.map(at => Trial.of(at, 0, None, maps(at), results(at)._2)))
  }
}

object RandomSearch extends DefaultParamsReadable[RandomSearch] {
  override def read: MLReader[RandomSearch] = Search.reader(super.read)
  override def load(path: String): RandomSearch = super.load(path)
}

/**
 * Tries many parameter sets for a short time, and the best of them for longer, round by round. A round fits each remaining set from
 * the beginning, with the `resource` of the round. The best `1 / reduction` of them enter the next round with `reduction` times as
 * much. The last round has `maxResource`.
 */
class SuccessiveHalving(override val uid: String) extends Search[SuccessiveHalving] {
  def this() = this(Identifiable.randomUID("successiveHalving"))

  /** Whole-number parameter of the estimator, or of a stage inside of it, that says how much a fit costs, e.g. `maxEpochs`. No default. */
  final val resource: Param[ParamRef] = new JsonParam[ParamRef](
    this, "resource", "whole-number parameter of the estimator that says how much a fit costs", ref => Json.write(ref),
    text => Json.as[ParamRef](text))

  /** Resource of a fit in the first round; default 1. */
  final val minResource: IntParam = new IntParam(this, "minResource", "resource of a fit in the first round", ParamValidators.gt(0))

  /** Resource of a fit in the last round; default 27. */
  final val maxResource: IntParam = new IntParam(this, "maxResource", "resource of a fit in the last round", ParamValidators.gt(0))

  /** Factor between rounds: the number of sets is divided by it, the resource of each multiplied by it; default 3. */
  final val reduction: IntParam = new IntParam(
    this, "reduction", "factor between rounds: the number of sets is divided by it, and the resource of each multiplied by it", ParamValidators.gt(1))

  setDefault(minResource -> 1, maxResource -> 27, reduction -> 3)

  final def getResource: ParamRef = $(resource)
  def setResource(value: Param[Int]): this.type = set(resource, ParamRef.of(value))
  final def getMinResource: Int = $(minResource)
  def setMinResource(value: Int): this.type = set(minResource, value)
  final def getMaxResource: Int = $(maxResource)
  def setMaxResource(value: Int): this.type = set(maxResource, value)
  final def getReduction: Int = $(reduction)
  def setReduction(value: Int): this.type = set(reduction, value)

  override def transformSchema(schema: StructType): StructType = {
    val after = super.transformSchema(schema)
    if (!isSet(resource)) fail("resource is not set")
    if ($(minResource) > $(maxResource)) fail(s"minResource ${$(minResource)} is more than maxResource ${$(maxResource)}")
    if ($(space).draws.exists(_._1 == $(resource))) fail(s"${$(resource)} is the resource, so it cannot be in the space")
    after
  }

  override private[ml] def run(train: DataFrame, held: DataFrame): Found =
    rounds(train, held, candidates.zipWithIndex, $(minResource), 0)

  /** This round and those after it. Trials come best first, those of later rounds before those of earlier ones. */
  private def rounds(train: DataFrame, held: DataFrame, remaining: Seq[(ParamMap, Int)], amount: Int, round: Int): Found = {
    val param = $(resource).in($(estimator))
    val results = tried(train, held, remaining.map { case (map, _) => map.copy.put(param, amount) })
    val order = ranked(results.map(_._2))
    val trials = order.map { at =>
      val (map, candidate) = remaining(at)
      Trial.of(candidate, round, Some(amount), map, results(at)._2)
    }
    if (amount >= $(maxResource) || remaining.length == 1) Found(results(order.head)._1, trials)
    else {
      val kept = order.take(math.max(1, remaining.length / $(reduction))).map(remaining)
      val next = if (kept.length == 1) $(maxResource).toLong else math.min($(maxResource).toLong, amount.toLong * $(reduction))
      val later = rounds(train, held, kept, next.toInt, round + 1)
      later.copy(trials = later.trials ++ trials)
    }
  }
}

object SuccessiveHalving extends DefaultParamsReadable[SuccessiveHalving] {
  override def read: MLReader[SuccessiveHalving] = Search.reader(super.read)
  override def load(path: String): SuccessiveHalving = super.load(path)
}

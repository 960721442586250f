package io.flambeau.ml

import java.util.concurrent.{Callable, ExecutionException, Executors}

import org.apache.spark.ml.{Estimator, Model}
import org.apache.spark.ml.evaluation.Evaluator
import org.apache.spark.ml.param.{DoubleParam, IntParam, Param, ParamMap, Params, ParamValidators}
import org.apache.spark.ml.param.shared.HasSeed
import org.apache.spark.ml.util.{DefaultParamsWritable, MLReader, MLWriter}
import org.apache.spark.sql.{DataFrame, Dataset}
import org.apache.spark.sql.types.StructType

import io.flambeau.bridge.Json

/*
 * Shared by the searches: their parameters, how trials are run and compared, saving and loading. Names, defaults and semantics
 * are those of Python's (flambeau.ml.search). That is a separate program, since it also searches over Python's estimators; only
 * the numbers that a seed draws differ. Driver only: `fit` starts `parallelism` threads and ends them; fits run as Spark jobs.
 */

/** Parameters of every search. */
trait SearchParams extends Params with HasSeed {

  /** Estimator whose parameters are searched: any of Spark ML's. No default. */
  final val estimator: Param[Estimator[_]] = new Param[Estimator[_]](this, "estimator", "estimator whose parameters are searched")

  /** Evaluator that compares trials, on the validation rows. No default. */
  final val evaluator: Param[Evaluator] = new Param[Evaluator](this, "evaluator", "evaluator that compares trials, on the rows held back")

  /** Search space that parameter sets are drawn from. No default. */
  final val space: Param[SearchSpace] =
    new JsonParam[SearchSpace](this, "space", "distributions that parameter sets are drawn from", SearchSpace.write, SearchSpace.read)

  /** Parameter sets that are tried; default 16. */
  final val numTrials: IntParam = new IntParam(this, "numTrials", "parameter sets that are tried", ParamValidators.gt(0))

  /** Part of the rows that is trained on; trials are compared on the others. Default 0.75. */
  final val trainRatio: DoubleParam = new DoubleParam(
    this, "trainRatio", "share of the rows that is trained on; trials are compared on the others",
    ParamValidators.inRange(0, 1, lowerInclusive = false, upperInclusive = false))

  /** Fits that run in parallel; default 1. */
  final val parallelism: IntParam = new IntParam(this, "parallelism", "fits that run side by side", ParamValidators.gtEq(1))

  setDefault(numTrials -> 16, trainRatio -> 0.75, parallelism -> 1, seed -> 0L)

  final def getEstimator: Estimator[_] = $(estimator)
  def setEstimator(value: Estimator[_]): this.type = set(estimator, value)
  final def getEvaluator: Evaluator = $(evaluator)
  def setEvaluator(value: Evaluator): this.type = set(evaluator, value)
  final def getSpace: SearchSpace = $(space)
  def setSpace(value: SearchSpace): this.type = set(space, value)
  final def getNumTrials: Int = $(numTrials)
  def setNumTrials(value: Int): this.type = set(numTrials, value)
  final def getTrainRatio: Double = $(trainRatio)
  def setTrainRatio(value: Double): this.type = set(trainRatio, value)
  final def getParallelism: Int = $(parallelism)
  def setParallelism(value: Int): this.type = set(parallelism, value)
  def setSeed(value: Long): this.type = set(seed, value)
}

/** A parameter whose value is stored as the JSON that `encode` makes. */
private[ml] final class JsonParam[T](parent: Params, name: String, doc: String, encode: T => String, decode: String => T) extends Param[T](parent, name, doc) {

  // Spark needs JSON here, and only keeps an object or a string unchanged.
  override def jsonEncode(value: T): String = Json.write(encode(value))
  override def jsonDecode(json: String): T = decode(Json.read(json).asText)
}

/**
 * A search: holds back `1 - trainRatio` of the rows, the same for all trials, fits the others once for each parameter set, and
 * returns the model with the best metric. Fits of one lane are one call of `fit(rows, paramMaps)`: estimators of this package
 * read and featurize the rows once for all of them.
 */
abstract class Search[S <: Search[S]] private[ml] extends Estimator[SearchModel] with SearchParams with DefaultParamsWritable {

  /** Runs all trials: fits on `train`, metrics of `held`. */
  private[ml] def run(train: DataFrame, held: DataFrame): Found

  override def fit(dataset: Dataset[_]): SearchModel = {
    transformSchema(dataset.schema)
    val parts = dataset.toDF().randomSplit(Array($(trainRatio), 1 - $(trainRatio)), $(seed)).map(_.cache())
    val found =
      try run(parts(0), parts(1))
      finally parts.foreach(_.unpersist())
    copyValues(new SearchModel(uid).setParent(this)).withFound(found)
  }

  override def transformSchema(schema: StructType): StructType = {
    Seq(estimator, evaluator, space).filterNot(isSet(_)).foreach(missing => fail(s"${missing.name} is not set"))
    $(estimator).copy(candidates.head).transformSchema(schema)
  }

  private[ml] final def candidates: Seq[ParamMap] = $(space).candidates($(estimator), $(numTrials), $(seed))

  private[ml] final def fail(why: String): Nothing = SearchSpace.fail(s"$uid: $why")

  /** The model and the metric of each parameter map; `parallelism` fits run side by side, each over a share of the maps. */
  private[ml] final def tried(train: DataFrame, held: DataFrame, maps: Seq[ParamMap]): Seq[(Model[_], Double)] = {
    val lanes = math.min($(parallelism), maps.length)
    // Threads inherit this one's local properties, including the active session.
    val pool = Executors.newFixedThreadPool(lanes)
    try {
      val shares = (0 until lanes).map { lane =>
        val share = maps.indices.by(lanes).map(_ + lane).filter(_ < maps.length)
        pool.submit(new Callable[Seq[(Int, (Model[_], Double))]] {
          override def call(): Seq[(Int, (Model[_], Double))] = {
            val models = $(estimator).fit(train, share.map(maps)).map(_.asInstanceOf[Model[_]])
            share.zip(models.map(model => (model, $(evaluator).evaluate(model.transform(held)))))
          }
        })
      }
      shares.flatMap(_.get()).sortBy(_._1).map(_._2)
    } catch {
      case failed: ExecutionException => throw failed.getCause
    } finally pool.shutdownNow()
  }

  /** Positions, the best first; NaN comes last. */
  private[ml] final def ranked(metrics: Seq[Double]): Seq[Int] = {
    val sign = if ($(evaluator).isLargerBetter) -1 else 1
    metrics.indices.sortBy(at => if (metrics(at).isNaN) Double.PositiveInfinity else sign * metrics(at))
  }

  /** Its own parameters only: stages have separate folders. */
  private def paramsWriter: MLWriter = super.write

  override def write: MLWriter = new MLWriter {
    override protected def saveImpl(path: String): Unit = {
      val stages = Seq(estimator, evaluator).flatMap(param => get(param).map(param.name -> _))
      SavedStages.check(uid, stages)
      val bare = copy(ParamMap.empty).asInstanceOf[Search[S]].clear(estimator).clear(evaluator)
      bare.paramsWriter.session(sparkSession).save(path)
      SavedStages.save(stages, path, sparkSession)
    }
  }

  /** Parameters of the estimator and of the evaluator are passed to them, as in `CrossValidator`. */
  override def copy(extra: ParamMap): S = {
    val same = defaultCopy[S](extra)
    get(estimator).foreach(inner => same.setEstimator(inner.copy(extra)))
    get(evaluator).foreach(inner => same.setEvaluator(inner.copy(extra)))
    same
  }
}

private[ml] object Search {

  /** Loads the stages, which `params` does not. */
  def reader[S <: Search[S]](params: MLReader[S]): MLReader[S] = new MLReader[S] {
    override def load(path: String): S = {
      val search = params.session(sparkSession).load(path)
      SavedStages.load[Estimator[_]](path, search.estimator.name, sparkSession).foreach(search.setEstimator)
      SavedStages.load[Evaluator](path, search.evaluator.name, sparkSession).foreach(search.setEvaluator)
      search
    }
  }
}

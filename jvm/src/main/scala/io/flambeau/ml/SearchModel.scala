package io.flambeau.ml

import com.fasterxml.jackson.databind.JsonNode
import org.apache.hadoop.fs.Path
import org.apache.spark.ml.Model
import org.apache.spark.ml.param.{Param, ParamMap, Params}
import org.apache.spark.ml.util.{DefaultParamsReadable, DefaultParamsWritable, MLReader, MLWriter}
import org.apache.spark.sql.{DataFrame, Dataset, Encoders, Row, SparkSession}
import org.apache.spark.sql.types._

import io.flambeau.bridge.Json

/*
 * The result of a search, saved as `metadata`, the best model in `bestModel`, and the trials as a Parquet file in `trials`. Driver
 * only; a model does not change once it is made, so any thread may use it.
 */

/** A parameter's value in a trial: JSON, written by the parameter. */
private[ml] final case class TrialParam(parent: String, name: String, json: String)

/** One fit: its candidate, its round, its resource (halving only), and its metric. */
private[ml] final case class Trial(candidate: Int, round: Int, resource: Option[Int], params: Seq[TrialParam], metric: Double)

/** The result of a search: the best model, and all trials, the best first, those of later rounds before those of earlier ones. */
private[ml] final case class Found(best: Model[_], trials: Seq[Trial])

private[ml] object Trial {
  def of(candidate: Int, round: Int, resource: Option[Int], map: ParamMap, metric: Double): Trial = {
    // A map has no order; the table's columns must not depend on it.
    val params = map.toSeq.map(pair => TrialParam(pair.param.parent, pair.param.name, pair.param.asInstanceOf[Param[Any]].jsonEncode(pair.value)))
    Trial(candidate, round, resource, params.sortBy(p => (p.name, p.parent)), metric)
  }

  /** A row for each trial, in the order given. */
  def table(trials: Seq[Trial], session: SparkSession): DataFrame = {
    val own = Set("candidate", "round", "resource", "metric")
    val columns = trials.head.params.indices.map { at =>
      val param = trials.head.params(at)
      val alone = !own(param.name) && trials.head.params.count(_.name == param.name) == 1
      val (kind, read) = column(trials.map(trial => Json.read(trial.params(at).json)))
      (StructField(if (alone) param.name else s"${param.parent}.${param.name}", kind), read)
    }
    val schema = StructType(
      Seq(StructField("candidate", IntegerType, nullable = false), StructField("round", IntegerType, nullable = false), StructField("resource", IntegerType)) ++
        columns.map(_._1) :+ StructField("metric", DoubleType, nullable = false))
    val rows = trials.map { trial =>
      val values = columns.zip(trial.params).map { case ((_, read), param) => read(Json.read(param.json)) }
      Row.fromSeq(Seq[Any](trial.candidate, trial.round, trial.resource.map(Int.box).orNull) ++ values :+ trial.metric)
    }
    session.createDataFrame(java.util.Arrays.asList(rows: _*), schema)
  }

  /** The type of a column with these values, and how a value becomes one of it; anything but a number, truth value or text stays JSON. */
  private def column(values: Seq[JsonNode]): (DataType, JsonNode => Any) =
    if (values.forall(_.isIntegralNumber)) (LongType, _.asLong)
    else if (values.forall(_.isNumber)) (DoubleType, _.asDouble)
    else if (values.forall(_.isBoolean)) (BooleanType, _.asBoolean)
    else (StringType, node => if (node.isTextual) node.asText else node.toString)
}

/** The result of a search. It transforms with `bestModel`. */
class SearchModel private[ml] (override val uid: String) extends Model[SearchModel] with DefaultParamsWritable {
  private var result: Option[Found] = None

  private[ml] def found: Found = result.getOrElse(SearchSpace.fail(s"$uid has no model"))

  /** The model with the best metric; for halving, of the last round. */
  def bestModel: Model[_] = found.best

  /** The metric of each parameter set, in the order of the draws; for halving, of its last round. */
  def avgMetrics: Array[Double] = found.trials.groupBy(_.candidate).toSeq.sortBy(_._1).map(_._2.maxBy(_.round).metric).toArray

  /**
   * A row for each fit, the best first, later rounds before earlier ones. Columns: `candidate`, `round`, `resource` (NULL unless
   * halving), one for each parameter, `metric`. If two stages have a parameter of the same name, the stage's uid comes before the name.
   */
  def trials: DataFrame = Trial.table(found.trials, SparkSession.active)

  private[ml] def withFound(value: Found): this.type = {
    result = Some(value)
    this
  }

  override def transform(dataset: Dataset[_]): DataFrame = bestModel.transform(dataset)

  override def transformSchema(schema: StructType): StructType = bestModel.transformSchema(schema)

  override def copy(extra: ParamMap): SearchModel =
    copyValues(new SearchModel(uid), extra).withFound(found.copy(best = bestModel.copy(extra).asInstanceOf[Model[_]])).setParent(parent)

  override def write: MLWriter = new SearchModel.Writer(this, super.write)
}

object SearchModel extends DefaultParamsReadable[SearchModel] {
  private val Best = "bestModel"
  private val Trials = "trials"

  private final class Writer(model: SearchModel, params: MLWriter) extends MLWriter {
    override protected def saveImpl(path: String): Unit = {
      val stages = Seq[(String, Params)](Best -> model.bestModel)
      SavedStages.check(model.uid, stages)
      params.session(sparkSession).save(path)
      SavedStages.save(stages, path, sparkSession)
      sparkSession.createDataset(model.found.trials)(Encoders.product[Trial]).coalesce(1).write.parquet(new Path(path, Trials).toString)
    }
  }

  override def read: MLReader[SearchModel] = {
    val params = super.read
    new MLReader[SearchModel] {
      override def load(path: String): SearchModel = {
        val model = params.session(sparkSession).load(path)
        val trials = sparkSession.read.parquet(new Path(path, Trials).toString).as[Trial](Encoders.product[Trial]).collect()
        val best = SavedStages.load[Model[_]](path, Best, sparkSession).getOrElse(SearchSpace.fail(s"there is no model in $path"))
        model.withFound(Found(best, trials.toSeq))
      }
    }
  }

  override def load(path: String): SearchModel = super.load(path)
}

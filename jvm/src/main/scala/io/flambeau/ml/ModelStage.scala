package io.flambeau.ml

import org.apache.spark.ml.Transformer
import org.apache.spark.ml.param.{Param, ParamMap}
import org.apache.spark.ml.util.{DefaultParamsWritable, MLWriter}
import org.apache.spark.sql.{DataFrame, Dataset, SparkSession}
import org.apache.spark.sql.catalyst.analysis.TypeCheckResult.DataTypeMismatch
import org.apache.spark.sql.catalyst.expressions.{AttributeReference, Coalesce, Expression, If, IsNotNull, Literal}
import org.apache.spark.sql.functions.col
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types.{DataType, Metadata, StringType, StructField, StructType}

import io.flambeau.spark.{Classic, ExpressionColumn}
import io.flambeau.{DidYouMean, FlambeauAnalysisException}
import io.flambeau.models.{InputKind, ModelRef, ModelStore}
import io.flambeau.sql.{ModelCall, ModelInputs, ModelTask, SessionCheck}

/**
 * The base of all stages: a transformer that adds the results of one model as columns, lazily, with the same expression as the
 * SQL functions. A stage only has parameters; model and types are looked up on the driver each time.
 *
 * Checks of columns, error handling and saving are here; a stage defines its call of the model ([[Evaluation]]).
 */
trait ModelStage extends Transformer with HasInvalid with DefaultParamsWritable {

  /** Whether the stage is saved together with its model package. */
  private[ml] def carriesPackage: Boolean

  /** Whether a row with NaN or an infinite number counts as a bad row. */
  private[ml] def refusesNotFinite: Boolean = false

  /** The parameter that names the model. */
  private[ml] def modelParam: Param[String]

  /**
   * What this stage evaluates.
   *
   * @throws FlambeauAnalysisException
   *   if parameters, columns and model do not fit
   */
  private[ml] def evaluation(ref: ModelRef, schema: StructType): Evaluation

  /** Adds the stage's columns. Nothing is computed until the result is read. */
  override def transform(dataset: Dataset[_]): DataFrame = {
    val session = dataset.sparkSession
    SessionCheck.require(session, uid)
    val planned = checked(dataset.schema, ModelStage.confOf(session))
    val inputs = planned.columns.zip(planned.ref.spec.inputs).map { case (column, input) =>
      val adapted = ModelInputs.adapt(ExpressionColumn.expression(dataset.col(ModelStage.quoted(column))), input, $(handleInvalid) != HasInvalid.Error)
      if (refusesNotFinite && FiniteOnly.concerns(adapted.dataType)) FiniteOnly(adapted) else adapted
    }
    val call = ModelCall(inputs, planned.ref, planned.task, nullOnError = $(handleInvalid) != HasInvalid.Error)
    val result = if (call.nullOnError) call else Required(call, uid, planned.ref.name, nullReason(planned))
    val outputs = planned.outputs.map(o => ExpressionColumn.of(o.value(result)).as(o.column, o.metadata))
    val reason = get(errorCol).map(ExpressionColumn.of(reasonOf(call, planned)).as(_))
    val added = dataset.select(col("*") +: (outputs ++ reason): _*)
    if ($(handleInvalid) == HasInvalid.Skip) added.filter(added.col(ModelStage.quoted(planned.outputs.head.column)).isNotNull)
    else added
  }

  /**
   * The schema with the stage's columns.
   *
   * @throws FlambeauAnalysisException
   *   if a column is missing, of a type that the model does not take, or there already; or if there is no such model
   */
  override def transformSchema(schema: StructType): StructType = {
    val planned = checked(schema, ModelStage.activeConf)
    StructType(schema.fields ++ added(planned))
  }

  override def copy(extra: ParamMap): Transformer = defaultCopy(extra)

  /** Saves parameters and, if the stage carries it, the model package next to them. */
  override def write: MLWriter = SavedPackage.writer(this)

  /** Spark's own writer of parameters. */
  private[ml] def paramsWriter: MLWriter = super.write

  private[ml] final def fail(why: String): Nothing = throw new FlambeauAnalysisException("FLAMBEAU_BAD_ARGUMENT", s"$uid: $why")

  /** The value of a parameter that has no default. */
  private[ml] final def needed[T](param: Param[T]): T = get(param).orElse(getDefault(param)).getOrElse(fail(s"${param.name} is not set"))

  private def checked(schema: StructType, conf: SQLConf): Evaluation = {
    if (isDefined(errorCol) && $(handleInvalid) != HasInvalid.Keep) {
      fail(s"errorCol is '${$(errorCol)}', but handleInvalid is ${$(handleInvalid)}: set handleInvalid to keep, the only value that gives reasons")
    }
    val planned = evaluation(ModelStore.resolve(needed(modelParam), conf), schema)
    planned.columns.zip(planned.ref.spec.inputs).foreach { case (column, input) =>
      val field = schema.fields.find(_.name == column).getOrElse(
        fail(s"there is no column '$column'; the columns are ${schema.fieldNames.mkString(", ")}${DidYouMean.hint(column, schema.fieldNames)}"))
      val adapted = ModelInputs.adapt(AttributeReference(column, field.dataType)(), input)
      ModelInputs.check(Seq(adapted), planned.ref.spec.copy(inputs = Seq(input))) match {
        case mismatch: DataTypeMismatch =>
          fail(s"input '${input.name}' of model '${planned.ref.name}' takes ${mismatch.messageParameters("requiredType")}, " +
            s"column '$column' is ${field.dataType.sql}${ModelInputs.pathHint(input, field.dataType)}")
        case _ => ()
      }
    }
    val names = added(planned).map(_.name)
    names.foreach { name =>
      if (schema.fieldNames.contains(name)) fail(s"there is already a column '$name'")
      if (names.count(_ == name) > 1) fail(s"the column '$name' would be added twice")
    }
    planned
  }

  private def added(planned: Evaluation): Seq[StructField] = {
    val nullable = $(handleInvalid) != HasInvalid.Error
    planned.outputs.map(o => StructField(o.column, o.dataType, nullable, o.metadata)) ++
      get(errorCol).map(StructField(_, StringType, nullable = true))
  }

  private def reasonOf(call: ModelCall, planned: Evaluation): Expression = {
    val fault = call.copy(task = ModelTask.Error, nullOnError = true)
    If(IsNotNull(call), Literal(null, StringType), Coalesce(Seq(fault, Literal(nullReason(planned)))))
  }

  private def nullReason(planned: Evaluation): String =
    planned.nullReason + (if (refusesNotFinite && planned.ref.spec.inputs.exists(_.kind == InputKind.Tensor)) ", or has a value that is NaN or infinite" else "")
}

/** A stage over a model that was there before: the user says whether a saved stage carries a copy of it. */
trait PretrainedStage extends ModelStage with HasSavePackage {
  override private[ml] def carriesPackage: Boolean = getSavePackage
}

private[ml] object ModelStage {

  /** A top-level column of exactly this name, dots and all. */
  def quoted(column: String): String = s"`${column.replace("`", "``")}`"

  def confOf(session: SparkSession): SQLConf = session match {
    case classicSession: Classic.Session => classicSession.sessionState.conf
    case _ => SQLConf.get
  }

  /** For calls without a dataset. */
  def activeConf: SQLConf = SparkSession.getActiveSession.orElse(SparkSession.getDefaultSession).map(confOf).getOrElse(SQLConf.get)
}

/**
 * One evaluation of a model for a stage.
 *
 * @param columns
 *   the dataset's columns that feed the model's inputs, in the model's order
 * @param outputs
 *   the columns to add, all from the one result of `task`
 */
private[ml] final case class Evaluation(ref: ModelRef, columns: Seq[String], task: ModelTask, outputs: Seq[Output]) {

  /** Why a row that the model could take has no result. */
  def nullReason: String = {
    val undecodable = if (ref.spec.inputs.exists(_.kind == InputKind.Image)) ", or an image that Spark's image source could not decode" else ""
    columns match {
      case Seq(column) => s"the input column '$column' is NULL$undecodable"
      case several => s"one of the input columns ${several.mkString("'", "', '", "'")} is NULL$undecodable"
    }
  }
}

/**
 * A column to add.
 *
 * @param value
 *   from the task's result; NULL for NULL
 */
private[ml] final case class Output(column: String, dataType: DataType, value: Expression => Expression, metadata: Metadata = Metadata.empty)

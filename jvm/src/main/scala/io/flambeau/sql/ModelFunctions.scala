package io.flambeau.sql

import scala.collection.concurrent.TrieMap

import org.apache.spark.sql.SparkSession
import org.apache.spark.sql.catalyst.FunctionIdentifier
import org.apache.spark.sql.catalyst.analysis.FunctionRegistry
import org.apache.spark.sql.catalyst.expressions.{Expression, ExpressionInfo, NamedArgumentExpression}
import org.apache.spark.sql.internal.SQLConf
import org.apache.spark.sql.types.StringType
import org.apache.spark.unsafe.types.UTF8String

import io.flambeau.{DidYouMean, FlambeauAnalysisException}
import io.flambeau.conf.FlambeauConf
import io.flambeau.models.{InputKind, ModelRef, ModelSpec, ModelStore, OutputRole}
import io.flambeau.spark.Classic

/**
 * The SQL functions: from arguments to a [[ModelCall]]. Runs on the driver, in analysis.
 *
 * `featurize(input, model)`, `classify(input, model[, k])`, `infer(model, inputs…)`, `detect(image, model[, threshold])`,
 * `segment(image, model)`, `transcribe(audio, model)`, their `try_` variants, and functions that stand for one model, whose arguments are the model's inputs.
 * Those of texts are in [[TextFunctions]].
 */
object ModelFunctions {

  /** The type that Spark's function registries take. */
  type Builder = Seq[Expression] => Expression

  /** A function as it is registered; the same instance each time, so that Spark sees no replacement. */
  final case class Definition(name: String, info: ExpressionInfo, build: Builder) {
    def identifier: FunctionIdentifier = FunctionIdentifier(name)
  }

  /** The functions for models that take one input of any kind, and `infer`. */
  val all: Seq[Definition] = Seq(false, true).flatMap { nullOnError =>
    def one(task: ModelTask, info: Boolean => ExpressionInfo, build: Boolean => Builder) =
      Definition(name(task.name, nullOnError), info(nullOnError), build(nullOnError))
    val classify = ModelTask.Classify(ModelTask.DefaultK)
    val detect = ModelTask.Detect(ModelTask.DefaultThreshold)
    Seq(
      one(ModelTask.Featurize, ModelFunctionDocs.featurize, ofTask(ModelTask.Featurize, "input")),
      one(classify, ModelFunctionDocs.classify, ofTask(classify, "input")),
      one(ModelTask.Infer, ModelFunctionDocs.infer, infer),
      one(detect, ModelFunctionDocs.detect, ofTask(detect, "image")),
      one(ModelTask.Segment, ModelFunctionDocs.segment, ofTask(ModelTask.Segment, "image")),
      one(ModelTask.Transcribe, ModelFunctionDocs.transcribe, ofTask(ModelTask.Transcribe, "audio")))
  }

  /** Functions that this class made built-in, by name. */
  private val builtin = TrieMap.empty[String, Definition]

  /**
   * Makes functions built-in for this JVM. A function of one session counts as temporary, and persistent views may not use
   * temporary functions.
   *
   * @throws FlambeauAnalysisException
   *   FLAMBEAU_BAD_SETTING, for the name of one of Spark's own functions
   */
  def registerBuiltin(functions: Seq[Definition]): Unit = builtin.synchronized {
    functions.filterNot(f => builtin.get(f.name).contains(f)).foreach { f =>
      if (!builtin.contains(f.name) && FunctionRegistry.builtin.functionExists(f.identifier)) {
        throw new FlambeauAnalysisException(
          "FLAMBEAU_BAD_SETTING", s"${FlambeauConf.UdfPrefix}${f.name}: Spark has a function of this name, choose another")
      }
      FunctionRegistry.builtin.registerFunction(f.identifier, f.info, f.build)
      builtin.put(f.name, f)
    }
  }

  private val namedModels = TrieMap.empty[(String, String), Definition]

  /**
   * A function of this name for one model. The role of the package's first output decides what it does: `featurize` for `features`,
   * `classify` for `scores` (`rerank` for one score of two texts), `transcribe` for `ctc`, `detect` for those of boxes, `segment` for `pixel_scores`. It is
   * `entities` for `token_scores`, `answer` for `start_scores`, and `infer` for others. The model is looked up when the function is first used.
   */
  def named(name: String, model: String): Definition = namedModels.getOrElseUpdate((name, model), define(name, model))

  /** The task of a function for one model: its first output decides. */
  def taskOf(spec: ModelSpec): ModelTask = spec.outputs.headOption.map(_.role) match {
    case Some(OutputRole.Features) => ModelTask.Featurize
    case Some(OutputRole.Scores) if isReranker(spec) => ModelTask.Rerank
    case Some(OutputRole.Scores) => ModelTask.Classify(ModelTask.DefaultK)
    case Some(OutputRole.Boxes | OutputRole.BoxScores | OutputRole.BoxClasses) => ModelTask.Detect(ModelTask.DefaultThreshold)
    case Some(OutputRole.PixelScores) => ModelTask.Segment
    case Some(OutputRole.Ctc) => ModelTask.Transcribe
    case Some(OutputRole.TokenScores) => ModelTask.Entities
    case Some(OutputRole.StartScores) if spec.output(OutputRole.EndScores).nonEmpty => ModelTask.Answer
    case _ => ModelTask.Infer
  }

  /** Whether it gives one score for two texts. */
  private def isReranker(spec: ModelSpec): Boolean = takesPairs(spec) && spec.output(OutputRole.Scores).exists(_.shape == Seq(1L))

  /** Whether its inputs are two texts. */
  private[sql] def takesPairs(spec: ModelSpec): Boolean = spec.inputs.map(_.kind) == Seq(InputKind.Text, InputKind.Text)

  private def define(name: String, model: String): Definition = {
    val build: Builder = { arguments =>
      val ref = ModelStore.resolve(model, sessionConf)
      val task = taskOf(ref.spec)
      val inputs = ref.spec.inputs.map(_.name)
      val bound = Arguments.bind(name, arguments, inputs, option(task))
      call(name, inputs.map(bound), ref, ModelRequest(asked(name, task, bound), nullOnError = false))
    }
    Definition(name, new NamedFunctionInfo(name, model, () => ModelStore.resolve(model, sessionConf)), build)
  }

  /**
   * The settings of the session that runs the query. While a view is analyzed, `SQLConf.get` holds only what Spark captured when
   * the view was made, without settings of other libraries.
   */
  private def sessionConf: SQLConf = SparkSession.getActiveSession match {
    case Some(session: Classic.Session) => session.sessionState.conf
    case _ => SQLConf.get
  }

  private[sql] def name(task: String, nullOnError: Boolean): String = if (nullOnError) s"try_$task" else task

  /** A function whose arguments are the model's inputs, then the model, then the task's option. */
  private[sql] def ofTask(task: ModelTask, inputs: String*)(nullOnError: Boolean): Builder = { arguments =>
    val function = name(task.name, nullOnError)
    val bound = Arguments.bind(function, arguments, inputs :+ "model", option(task))
    call(function, inputs.map(bound), resolve(function, bound("model")), ModelRequest(asked(function, task, bound), nullOnError))
  }

  /** The name of the task's option, if it has one. */
  private def option(task: ModelTask): Seq[String] = task match {
    case _: ModelTask.Classify => Seq("k")
    case _: ModelTask.Detect => Seq("threshold")
    case _ => Nil
  }

  /** The task with the option of a call, if that gives one. */
  private def asked(function: String, task: ModelTask, bound: Map[String, Expression]): ModelTask = task match {
    case ModelTask.Classify(default) =>
      ModelTask.Classify(bound.get("k").map(Constants.positiveInt(function, "k", _)).getOrElse(default))
    case ModelTask.Detect(default) =>
      ModelTask.Detect(bound.get("threshold").map(Constants.share(function, "threshold", _)).getOrElse(default))
    case other => other
  }

  private def infer(nullOnError: Boolean): Builder = { arguments =>
    val function = name("infer", nullOnError)
    val model = arguments.collectFirst { case NamedArgumentExpression(key, value) if key.equalsIgnoreCase("model") => value }
      .orElse(arguments.headOption)
      .getOrElse(Arguments.fail(function, "it takes the model's name, then the model's inputs"))
    val ref = resolve(function, model)
    val inputs = ref.spec.inputs.map(_.name)
    if (inputs.exists(_.equalsIgnoreCase("model"))) {
      // An input of that name can only be given by position: the name is also a parameter's.
      call(function, arguments.tail.map(Arguments.unnamed), ref, ModelRequest(ModelTask.Infer, nullOnError))
    } else {
      val bound = Arguments.bind(function, arguments, "model" +: inputs, Nil)
      call(function, inputs.map(bound), ref, ModelRequest(ModelTask.Infer, nullOnError))
    }
  }

  private[sql] def call(function: String, inputs: Seq[Expression], ref: ModelRef, request: ModelRequest): Expression = {
    SparkSession.getActiveSession.foreach(SessionCheck.require(_, function))
    val spec = ref.spec
    def require(role: OutputRole, what: String): Unit =
      if (spec.output(role).isEmpty) {
        Arguments.fail(function,
          s"model '${ref.name}' has no output of role $role, so it cannot $what; its outputs are " +
            spec.outputs.map(o => s"${o.name} (${o.role})").mkString(", ") + ". infer returns them all")
      }
    def requirePairs(): Unit =
      if (!takesPairs(spec)) {
        Arguments.fail(function,
          s"model '${ref.name}' takes ${spec.inputs.map(input => s"${input.name} (${input.kind})").mkString(", ")}, not a pair of texts; " +
            "export.from_transformers(…, pair=True) makes a package that does")
      }
    request.task match {
      case ModelTask.Featurize => require(OutputRole.Features, "featurize")
      case _: ModelTask.Classify => require(OutputRole.Scores, "classify")
      case _: ModelTask.Detect => require(OutputRole.Boxes, "detect")
      case ModelTask.Segment => require(OutputRole.PixelScores, "segment pictures")
      case ModelTask.Transcribe => require(OutputRole.Ctc, "transcribe")
      case ModelTask.Rerank =>
        require(OutputRole.Scores, "rerank")
        requirePairs()
        spec.output(OutputRole.Scores).filter(_.shape != Seq(1L)).foreach { scores =>
          Arguments.fail(function,
            s"model '${ref.name}' gives ${scores.shape.product} scores for a pair, not one; infer('${ref.name}', " +
              s"${spec.inputs.map(_.name).mkString(", ")}).${scores.name} has them all")
        }
      case ModelTask.Entities => require(OutputRole.TokenScores, "find entities")
      case ModelTask.Answer =>
        require(OutputRole.StartScores, "answer questions")
        require(OutputRole.EndScores, "answer questions")
        requirePairs()
      case ModelTask.Infer | ModelTask.Error => ()
    }
    if (spec.inputs.length != inputs.length) {
      Arguments.fail(function,
        s"model '${ref.name}' takes ${spec.inputs.length} inputs (${spec.inputs.map(_.name).mkString(", ")}), " +
          s"the call has ${inputs.length}; infer('${ref.name}', ${spec.inputs.map(_.name).mkString(", ")}) takes them all")
    }
    val adapted = inputs.zip(spec.inputs).map { case (argument, input) => ModelInputs.adapt(argument, input, request.nullOnError) }
    ModelCall(adapted, ref, request.task, request.nullOnError)
  }

  private[sql] def resolve(function: String, model: Expression): ModelRef =
    Constants.value(function, "model", model) match {
      case name: UTF8String if model.dataType.isInstanceOf[StringType] => ModelStore.resolve(name.toString, sessionConf)
      case null => Arguments.fail(function, "the model's name is NULL")
      case _ => Arguments.fail(function, s"the model's name must be a string, not ${model.dataType.sql}")
    }
}

/** Positional and named arguments of one call. */
private[flambeau] object Arguments {

  /** Arguments by parameter name (as declared); named ones may come in any order after the positional ones. */
  def bind(function: String, arguments: Seq[Expression], required: Seq[String], optional: Seq[String]): Map[String, Expression] = {
    val parameters = required ++ optional
    val signature = s"$function(${(required ++ optional.map(o => s"[$o]")).mkString(", ")})"
    val (positional, rest) = arguments.span(!_.isInstanceOf[NamedArgumentExpression])
    if (positional.length > parameters.length) {
      fail(function, s"${arguments.length} arguments are too many for $signature")
    }
    val bound = rest.foldLeft(parameters.zip(positional).toMap) {
      case (sofar, NamedArgumentExpression(key, value)) =>
        val parameter =
          parameters.find(_.equalsIgnoreCase(key)).getOrElse(fail(function, s"there is no parameter '$key' in $signature${DidYouMean.hint(key, parameters)}"))
        if (sofar.contains(parameter)) fail(function, s"'$parameter' is given twice")
        sofar + (parameter -> value)
      case (_, _) => fail(function, "a positional argument follows a named one")
    }
    val missing = required.filterNot(bound.contains)
    if (missing.nonEmpty) fail(function, s"${missing.mkString(" and ")} missing in $signature")
    bound
  }

  def unnamed(argument: Expression): Expression = argument match {
    case NamedArgumentExpression(_, value) => value
    case other => other
  }

  def fail(function: String, why: String): Nothing = throw new FlambeauAnalysisException("FLAMBEAU_BAD_ARGUMENT", s"$function: $why")
}

package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.{Cast, Expression, GetStructField, Literal}
import org.apache.spark.sql.catalyst.util.ArrayData
import org.apache.spark.sql.types.{ArrayType, FloatType, StringType}

import io.flambeau.models.OutputRole

/**
 * The SQL functions of texts: `rerank(query, text, model)`, `entities(text, model)`, `answer(question, context, model)`,
 * `zero_shot(text, labels, model[, multi_label][, hypothesis_template])`, and their `try_` variants.
 */
private[flambeau] object TextFunctions {

  val all: Seq[ModelFunctions.Definition] = Seq(false, true).flatMap { nullOnError =>
    def one(name: String, build: Boolean => ModelFunctions.Builder) =
      ModelFunctions.Definition(ModelFunctions.name(name, nullOnError), TextFunctionDocs.of(name, nullOnError), build(nullOnError))
    Seq(
      one("rerank", ModelFunctions.ofTask(ModelTask.Rerank, "query", "text")),
      one("entities", ModelFunctions.ofTask(ModelTask.Entities, "text")),
      one("answer", ModelFunctions.ofTask(ModelTask.Answer, "question", "context")),
      one("zero_shot", zeroShot))
  }

  /** One call of the model for each label, with the label's hypothesis as the second text. */
  private def zeroShot(nullOnError: Boolean): ModelFunctions.Builder = { arguments =>
    val function = ModelFunctions.name("zero_shot", nullOnError)
    val bound = Arguments.bind(function, arguments, Seq("text", "labels", "model"), Seq("multi_label", "hypothesis_template"))
    val labels = labelsOf(function, bound("labels"))
    val multiLabel = bound.get("multi_label").exists(Constants.flag(function, "multi_label", _))
    val template = bound.get("hypothesis_template").map(Constants.text(function, "hypothesis_template", _)).getOrElse(ModelTask.HypothesisTemplate)
    if (!template.contains("{}")) Arguments.fail(function, s"hypothesis_template must have {} in the place of the label, unlike '$template'")
    val ref = ModelFunctions.resolve(function, bound("model"))
    val scores = ref.spec.output(OutputRole.Scores).filter(_.entailment.nonEmpty && ModelFunctions.takesPairs(ref.spec)).getOrElse {
      Arguments.fail(function,
        s"model '${ref.name}' must take pairs of texts and give scores, one with the label 'entailment': a model of natural " +
          "language inference, exported with from_transformers(…, pair=True)")
    }
    val logits = labels.map { label =>
      val hypothesis = Literal.create(template.replace("{}", label), StringType)
      val call = ModelFunctions.call(function, Seq(bound("text"), hypothesis), ref, ModelRequest(ModelTask.Infer, nullOnError))
      Cast(GetStructField(call, ref.spec.outputs.indexOf(scores), Some(scores.name)), ArrayType(FloatType, containsNull = false))
    }
    ZeroShotLabels(logits, labels, scores.entailment.get, multiLabel)
  }

  private def labelsOf(function: String, argument: Expression): Seq[String] = {
    val wanted = "labels must be an array of strings, such as array('sports', 'politics')"
    val value = Constants.value(function, "labels", argument)
    Arguments.unnamed(argument).dataType match {
      case ArrayType(_: StringType, _) => ()
      case other => Arguments.fail(function, s"$wanted, not ${other.sql}")
    }
    value match {
      case array: ArrayData if array.numElements() == 0 => Arguments.fail(function, s"$wanted: it is empty")
      case array: ArrayData =>
        val found = (0 until array.numElements()).map(i => Option(array.getUTF8String(i)).map(_.toString))
        found.map(_.getOrElse(Arguments.fail(function, s"$wanted: one of them is NULL")))
      case _ => Arguments.fail(function, s"$wanted: it is NULL")
    }
  }
}

package io.flambeau.sql

import org.apache.spark.sql.catalyst.expressions.ExpressionInfo

/** The text of `DESCRIBE FUNCTION EXTENDED` for the functions of texts. */
private[sql] object TextFunctionDocs {

  private final case class Doc(usage: String, arguments: String, example: String)

  private val Docs = Map(
    "rerank" -> Doc(
      "(query, text, model) - How well the text fits the query, as a float: the score that the model gives to the pair, after its activation.",
      "      * query, text - STRING\n",
      "SELECT _FUNC_('how tall is it', body, 'packages/reranker') AS score FROM documents ORDER BY score DESC LIMIT 1;\n       0.97"),
    "entities" -> Doc(
      "(text, model) - What the text names, in its order, as array<struct<label:string,score:float,start:int,end:int,text:string>>. " +
        "Neighboring tokens of one label are one entity. start and end (exclusive) count characters (code points) from 0.",
      "      * text - STRING\n",
      "SELECT _FUNC_('Ada lived in London', 'packages/names')[1].text;\n       London"),
    "answer" -> Doc(
      "(question, context, model) - The part of the context that answers the question, as struct<answer:string,score:float,start:int,end:int>. " +
        "start and end (exclusive) count characters (code points) of the context from 0.",
      "      * question, context - STRING\n",
      "SELECT _FUNC_('Where did Ada live?', 'Ada lived in London', 'packages/answers').answer;\n       London"),
    "zero_shot" -> Doc(
      "(text, labels, model[, multi_label][, hypothesis_template]) - The labels, the most probable first, as " +
        "array<struct<label:string,index:int,probability:float>>. The model need not know them: it says whether a hypothesis about the text follows from it.",
      "      * text - STRING\n      * labels - a constant array of strings\n" +
        "      * multi_label - whether several labels may be right, true or false; default false\n" +
        s"      * hypothesis_template - the hypothesis, with {} for the label; default '${ModelTask.HypothesisTemplate}'\n",
      "SELECT _FUNC_('The match ended in a draw', array('sports', 'politics'), 'packages/inference')[0].label;\n       sports"))

  /** Of a function, or of its `try_` variant. */
  def of(name: String, nullOnError: Boolean): ExpressionInfo = {
    val doc = Docs(name)
    ModelFunctionDocs.info(
      ModelFunctions.name(name, nullOnError),
      s"_FUNC_${doc.usage} NULL for NULL. ${ModelFunctionDocs.onBadInput(nullOnError)}",
      doc.arguments + ModelFunctionDocs.Model,
      doc.example)
  }
}

package io.flambeau

import org.apache.spark.SparkThrowable
import org.apache.spark.sql.AnalysisException

import io.flambeau.spark.{Conditions, ErrorConditions}

/** For code that asks Spark about an exception, Flambeau's conditions work like Spark's own. */
class ErrorConditionsSuite extends FlambeauSuite {

  test("Spark makes messages of our conditions, which PySpark asks for") {
    val analysis = intercept[AnalysisException](spark.sql("SELECT featurize(array(1), 'nope')"))
    val runtime = intercept[Exception](rowsOf("SELECT featurize(array(1), 'tiny')"))
    val throwables = Iterator.iterate[Throwable](runtime)(_.getCause).takeWhile(_ != null).toSeq :+ analysis
    val ours = throwables.collect { case e: SparkThrowable if Conditions.of(e).startsWith("FLAMBEAU_") => e }
    assert(ours.map(Conditions.of).distinct.sorted == Seq("FLAMBEAU_BAD_INPUT", "FLAMBEAU_UNKNOWN_MODEL"))
    ours.foreach { e =>
      val message = ErrorConditions.messageOf(e)
      assert(message.startsWith(s"[${Conditions.of(e)}] ") && message.contains("model '") && message.endsWith(s"SQLSTATE: ${e.getSqlState}"))
    }
    assert(analysis.line.contains(1) && analysis.getMessage.contains("line 1 pos 7"))
  }
}

package io.flambeau.sql

import io.flambeau.FlambeauSuite

/** One engine for a model in all of an application, and what an executor does when the driver does not answer. */
class EngineAgreementSuite extends FlambeauSuite {

  override protected def beforeAll(): Unit = {
    super.beforeAll()
    spark
    EngineAgreement.listen()
  }

  test("the first choice for a model is everybody's") {
    assert(EngineQuestions.ask("first f32", "fused") == "fused")
    assert(EngineQuestions.ask("first f32", "torchscript") == "fused")
    assert(EngineQuestions.ask("first bf16", "torchscript") == "torchscript", "another precision is another model")
    assert(EngineQuestions.ask("first bf16", "fused") == "torchscript")
  }

  test("an executor asks once, and keeps to the answer") {
    assert(EngineQuestions.ask("kept f32", "fused") == "fused")
    assert(EngineAgreement.agreed("kept f32", "torchscript") == "fused")
    EngineQuestions.unanswered(() => assert(EngineAgreement.agreed("kept f32", "torchscript") == "fused"))
  }

  test("while the driver does not answer an executor uses its own choice, queries run, and the next task asks again") {
    EngineQuestions.unanswered { () =>
      assert(EngineQuestions.ask("silent f32", "torchscript") == null)
      assert(EngineAgreement.agreed("silent f32", "torchscript") == "torchscript")
      // Another content than other suites', so that the question of this query is new.
      withConf("spark.flambeau.engine" -> "auto") {
        assert(rowsOf("SELECT featurize(array(1, 2, 3, 4), 'tiny')").head.getSeq[Float](0) == Seq(2f, 4f, 6f))
      }
    }
    assert(EngineQuestions.ask("silent f32", "fused") == "fused", "nothing was kept of the question without an answer")
    assert(EngineAgreement.agreed("silent f32", "torchscript") == "fused")
  }
}

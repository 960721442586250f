package io.flambeau.sql

import io.flambeau.FlambeauSuite

/** One engine per model in the whole application, and an executor's choice if the driver does not answer. */
class EngineAgreementSuite extends FlambeauSuite {

  override protected def beforeAll(): Unit = {
    super.beforeAll()
    spark
    EngineAgreement.listen()
  }

  /** While `body` runs, the driver does not answer; afterwards it does again, without earlier choices. */
  private def unanswered(body: => Unit): Unit = {
    EngineAgreement.channel.foreach(_.close())
    try body
    finally EngineAgreement.answer()
  }

  test("the first choice for a model is everybody's") {
    assert(EngineAgreement.ask("first f32", "fused").contains("fused"))
    assert(EngineAgreement.ask("first f32", "torchscript").contains("fused"))
    assert(EngineAgreement.ask("first bf16", "torchscript").contains("torchscript"), "another precision is another model")
    assert(EngineAgreement.ask("first bf16", "fused").contains("torchscript"))
  }

  test("an executor asks once, and keeps to the answer") {
    assert(EngineAgreement.ask("kept f32", "fused").contains("fused"))
    assert(EngineAgreement.agreed("kept f32", "torchscript") == "fused")
    unanswered(assert(EngineAgreement.agreed("kept f32", "torchscript") == "fused"))
  }

  test("while the driver does not answer an executor uses its own choice, queries run, and the next task asks again") {
    unanswered {
      assert(EngineAgreement.ask("silent f32", "torchscript").isEmpty)
      assert(EngineAgreement.agreed("silent f32", "torchscript") == "torchscript")
      // Another content than other suites', so that the question of this query is new.
      withConf("spark.flambeau.engine" -> "auto") {
        assert(rowsOf("SELECT featurize(array(1, 2, 3, 4), 'tiny')").head.getSeq[Float](0) == Seq(2f, 4f, 6f))
      }
    }
    assert(EngineAgreement.ask("silent f32", "fused").contains("fused"), "nothing was kept of the question without an answer")
    assert(EngineAgreement.agreed("silent f32", "torchscript") == "fused")
  }
}

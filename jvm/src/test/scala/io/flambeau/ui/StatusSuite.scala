package io.flambeau.ui

import scala.xml.{Node, NodeSeq, XML}

import org.apache.spark.SparkConf
import org.apache.spark.scheduler.{SparkListener, SparkListenerEvent}
import org.apache.spark.util.kvstore.{InMemoryStore, KVStore}

import io.flambeau.FlambeauSuite
import io.flambeau.bridge.{EpochRow, Json}
import io.flambeau.conf.FlambeauConf

/** What the Models tab keeps of events, and what its pages make of it. */
class StatusSuite extends FlambeauSuite {
  private def model(executor: String, name: String = "net") = LoadedModel(executor, name, "c0ffee", "net.pt", "f32", "fused", "cpu", 3L << 20)
  private def usage(rows: Long) = ModelUsage(1, rows, 1, Map("unreadable" -> 1L), 4000000, 2000000, 1000000, 2000000, 500000, 1000000, 100000, 4096)
  private def epoch(run: Int, n: Int, loss: Double = 0.5) = RunEpoch(run, EpochRow(n, loss, Some(0.75), Map("f1" -> 0.5), 0.1, 320, 2.5, 0.5))
  private def started(id: String, epochs: Int = 9) = TrainingStarted(id, "torchClassifier_1", 2, 1, epochs, 1000)

  private def listening(settings: (String, String)*): (InMemoryStore, StatusListener) = {
    val store = new InMemoryStore
    (store, new StatusListener(new SparkConf(false).setAll(settings), store))
  }

  private def page(store: KVStore, name: String, id: String): NodeSeq = ModelsTab.page(name, store, "/models", _ => id)

  private def text(nodes: Seq[Node]): String = nodes.map(_.text).mkString

  test("uses of a model by an executor add up") {
    val (store, listener) = listening()
    Seq(model("1"), model("2"), model("1")).foreach(m => listener.onOtherEvent(ModelUse(m, usage(50), 7)))
    listener.onOtherEvent(ModelUse(model("1"), ModelUsage.Zero, 8))
    val records = StatusRecords.all[ModelRecord](store).sortBy(_.model.executor)
    assert(records.map(r => (r.model.executor, r.usage.rows, r.usage.tasks, r.lastUsedMillis)) == Seq(("1", 100, 2, 8), ("2", 50, 1, 7)))
    assert(records.head.usage.badByCause == Map("unreadable" -> 2L) && records.head.usage.peakNativeBytes == 4096)
    assert(records.head.usage.rowsPerSecond == 25000 && records.head.usage.sparkNs == 2000000)
  }

  test("the models that were not used for the longest time are forgotten") {
    val (store, listener) = listening(FlambeauConf.UiRetainedModels.key -> "2")
    Seq("1", "2", "1", "3").foreach(executor => listener.onOtherEvent(ModelUse(model(executor), usage(1), 7)))
    assert(StatusRecords.all[ModelRecord](store).map(_.model.executor).sorted == Seq("1", "3"))
  }

  test("a training's epochs arrive, some of them twice, and the oldest trainings are forgotten") {
    val (store, listener) = listening(FlambeauConf.UiRetainedTrainings.key -> "2")
    Seq(started("a"), started("b"), TrainingEpochs("b", Seq(epoch(0, 0), epoch(1, 0), epoch(0, 1), epoch(0, 2))),
      TrainingEpochs("b", Seq(epoch(0, 1, 0.25))), started("c"), TrainingEpochs("a", Seq(epoch(0, 0))), TrainingEnded("b", None, 2500))
      .foreach(listener.onOtherEvent)
    val records = StatusRecords.all[TrainingRecord](store)
    assert(records.map(_.id).sorted == Seq("b", "c"))
    val b = records.find(_.id == "b").get
    assert(b.points.map(p => (p.run, p.epoch, p.train)) == Seq((0, 0, 0.5), (1, 0, 0.5), (0, 1, 0.25)))
    assert(b.latest.contains(epoch(0, 1, 0.25)) && b.ended.exists(_.failure.isEmpty))
  }

  test("a long training keeps a limited number of points, over its whole length") {
    val record = TrainingRecord("a", started("a", 100000), Nil, 1, None, None)
    val long = (0 until 100000).grouped(500).foldLeft(record)((before, epochs) => before.plus(epochs.map(epoch(0, _))))
    assert(long.points.length > TrainingRecord.MaxPoints / 4 && long.points.length <= TrainingRecord.MaxPoints)
    assert(long.points.head.epoch == 0 && long.points.last.epoch > 99900 && long.latest.exists(_.row.epoch == 99999))
    val wide = record.plus((0 until 5000).map(epoch(_, 0)))
    assert(wide.points.length == TrainingRecord.MaxPoints && wide.points.last.run == 4999)
  }

  test("names, failures and parameters of requests add no markup") {
    val (store, listener) = listening()
    val hostile = "</td><script>alert(1)</script>"
    Seq(ModelUse(model(hostile, hostile).copy(variant = hostile, device = hostile), usage(5), 7), started(hostile).copy(owner = hostile),
      TrainingEpochs(hostile, Seq(epoch(0, 0), epoch(0, 1))), TrainingEnded(hostile, Some(hostile), 2000)).foreach(listener.onOtherEvent)
    val pages = Seq(page(store, "", ""), page(store, "training", hostile), page(store, "training", s"$hostile?"))
    pages.foreach { page =>
      // As Spark writes it: the text of the page is what it was, and it is the only script.
      val written = s"<div>${page.mkString}</div>"
      assert(!written.contains("<script") && (XML.loadString(written) \\ "script").isEmpty)
    }
    assert(text(pages.head).contains(hostile) && text(pages(1)).contains(s"failed: $hostile"))
    assert(pages.head.mkString.contains("/models/training/?id=%3C%2Ftd%3E%3Cscript%3E"))
  }

  test("the curve has a line for each training and a gap where the loss is not a number") {
    val losses = Seq(1.0, Double.NaN, 0.5, 0.25, Double.PositiveInfinity)
    val record = TrainingRecord("a", started("a"), Nil, 1, None, None).plus(losses.zipWithIndex.map { case (loss, n) => epoch(0, n, loss) })
    val svg = XML.loadString(LossCurve(record.plus(Seq(epoch(1, 0), epoch(1, 1)))).mkString)
    val training = (svg \\ "path").filter(path => (path \ "@class").text == "flambeau-training-loss")
    val lines = training.map(path => (path \ "@d").text.replaceAll("[^ML]", ""))
    assert(lines == Seq("MML", "ML") && !svg.toString.contains("NaN") && !svg.toString.contains("Infinity"))
    assert(LossCurve(record.copy(points = Nil)).isEmpty)
    assert(LossCurve(TrainingRecord("a", started("a"), Nil, 1, None, None).plus(Seq(epoch(0, 0, Double.NaN)).map(e =>
            e.copy(row = e.row.copy(validationLoss = None))))).isEmpty)
  }

  test("an executor counts the time in which any task uses a model, once") {
    var now = 0L
    val clock = new BusyClock(() => now)
    clock.begin(model("1"))
    now = 10
    clock.begin(model("1"))
    now = 15
    assert(clock.end(model("1")) == 15)
    now = 40
    assert(clock.end(model("1")) == 25 && clock.end(model("1")) == 0)
    now = 100
    clock.begin(model("1"))
    now = 101
    assert(clock.end(model("1")) == 1)
  }

  test("a use survives the way to the driver") {
    val use = ModelUse(model("1"), usage(5000000000L), 1790000000000L)
    assert(Json.as[ModelUse](Json.write(use)) == use)
  }

  test("without a Spark UI, events of tasks and trainings are on the listener bus") {
    var seen = Seq.empty[SparkListenerEvent]
    val listener = new SparkListener {
      override def onOtherEvent(event: SparkListenerEvent): Unit = if (event.getClass.getName.startsWith("io.flambeau")) seen.synchronized(seen :+= event)
    }
    spark.sparkContext.addSparkListener(listener)
    try {
      assert(spark.sparkContext.uiWebUrl.isEmpty)
      rowsOf("SELECT try_featurize(x, 'tiny') FROM VALUES (array(1f, 2f, 3f, 4f)), (array(1f)) AS t(x)")
      eventually {
        val uses = seen.synchronized(seen).collect { case ModelUse(m, u, _) if m.name == "tiny" && u.tasks > 0 => u }
        assert(uses.map(_.rows).sum == 2 && uses.map(_.badByCause.getOrElse("wrong_shape", 0L)).sum == 1 && uses.forall(_.busyNs > 0))
      }
      val failure = intercept[IllegalStateException] {
        TrainingReports.of(spark.sparkContext, "torchClassifier_1", 1, 1, 3) { reports =>
          reports.epochs(Seq(epoch(0, 0)))
          throw new IllegalStateException("no\nmore")
        }
      }
      assert(failure.getMessage == "no\nmore")
      eventually {
        val fit = seen.synchronized(seen).filterNot(_.isInstanceOf[ModelUse])
        assert(fit.collect { case TrainingEpochs(_, epochs) => epochs } == Seq(Seq(epoch(0, 0))))
        assert(fit.collect { case TrainingEnded(_, why, _) => why } == Seq(Some("no")))
      }
    } finally spark.sparkContext.removeSparkListener(listener)
  }
}

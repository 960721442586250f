package io.flambeau.bridge

import java.nio.file.{Files, Paths}

import scala.reflect.ClassTag

import org.scalatest.funsuite.AnyFunSuite

import io.flambeau.bridge.spec._
import io.flambeau.conf.{Decode, Engine, InferencePrecision, LogLevel}
import io.flambeau.models.{InputKind, ModelSpec, OutputRole, OutputSpec, PackageManifest, TensorSpec}

/**
 * The JSON of the boundary, compared with the same files as the Rust side (rust/train/tests/golden.rs): a field
 * that one side renames fails a test of the other. No value in these files is a default.
 */
class GoldenSuite extends AnyFunSuite {

  private def golden(name: String): String = Files.readString(Paths.get(sys.props.getOrElse("flambeau.repository", "."), "tests", "golden", s"$name.json"))

  private def writes(name: String, spec: Any): Unit = {
    assert(Json.read(Json.write(spec)) == Json.read(golden(name)), name)
    ()
  }

  private def reads[T: ClassTag](name: String, answer: T): Unit = {
    assert(Json.as[T](golden(name)) == answer, name)
    // Neither with a field more nor with one less.
    val root = Json.read(golden(name)).asInstanceOf[com.fasterxml.jackson.databind.node.ObjectNode]
    intercept[Exception](Json.as[T](root.deepCopy().put("unheard_of", 1).toString))
    root.properties.forEach { field =>
      val less = root.deepCopy()
      less.remove(field.getKey)
      intercept[Exception](Json.as[T](less.toString))
      ()
    }
  }

  test("how a process starts and a model is opened") {
    writes("start", StartSpec(3, 5, 536870913L, machineCode = true, "/var/engines", LogLevel.Debug))
    writes("model_options", ModelOptions(Some("c0ffee"), InferencePrecision.Fastest, 0.995, Engine.Fused, "cuda:1"))
  }

  test("what a session computes") {
    val outputs = Seq(
      OutputRequest(Task.Featurize, 0, 0, nullOnError = true), OutputRequest(Task.Classify, 7, 0, nullOnError = false),
      OutputRequest(Task.Infer, 0, 0, nullOnError = false), OutputRequest(Task.Detect, 0, 0.75, nullOnError = false),
      OutputRequest(Task.Segment, 0, 0, nullOnError = false), OutputRequest(Task.Transcribe, 0, 0, nullOnError = true),
      OutputRequest(Task.Rerank, 0, 0, nullOnError = true), OutputRequest(Task.Entities, 0, 0, nullOnError = false),
      OutputRequest(Task.Answer, 0, 0, nullOnError = true),
      OutputRequest(Task.Error, 0, 0, nullOnError = true))
    writes("session", SessionSpec(outputs, ImageLimits(4294836225L, Decode.Auto), Some(48), Some(Fault.Allocation)))
    val settings = InferenceSettings(ImageLimits(5, Decode.Exact), Engine.Fused, InferencePrecision.Fastest, 0.995, "auto", Some(3), None)
    writes("model_options", settings.model("c0ffee", "cuda:1"))
    assert(settings.session(outputs) == SessionSpec(outputs, ImageLimits(5, Decode.Exact), Some(3), None))
  }

  test("what a search for neighbors looks for") {
    writes("nearest", NearestSpec(NearestMetric.L2, 17, Some(0.25), smallerIds = true))
  }

  test("how a dataset takes rows, how workers join, what a result says of itself") {
    writes("dataset",
      DatasetSpec(
        "/scratch/7", 96, Map("features" -> DenseColumn(Seq(3, 8), "f32"), "__label" -> DenseColumn(Seq(2), "f64")), Some((-1.0, 0.5)), skipInvalid = true,
        Some(TrialSpec("/models/net", Seq("content", "text"), ImageLimits(1000, Decode.Auto)))))
    writes("process_group", ProcessGroupSpec(2, 4, "10.0.0.7", 120000L, "of all workers"))
    assert(!ProcessGroupSpec(2, 4, "10.0.0.7", 120000L, "of all workers").toString.contains("workers"))
    writes("export", ExportSpec("torchClassifier_1", Some(Seq("rose", "tulip")), "MIT", "trained by a test", Some("/models/lite")))
  }

  test("a training, and heads of groups") {
    val settings = TrainingSettings(
      LossName.Huber, 0.1, 1.5, 0.07, OptimizerSpec(OptimizerName.RmsProp, 0.003, 0.9, nesterov = true, 0.01),
      ScheduleSpec(ScheduleName.OneCycle, 5, 7, 0.5),
      Some(2.5), Some(0.99), 48, Some(12), 9, Some(70), dropLast = true, Long.MaxValue, Precision.Bf16,
      ValidationSpec(MetricName.Auc, Some(3), 0.001, restoreBest = false),
      Some(100), Some(2))
    val head = HeadSpec(6, 3, Seq(8, 4), Activation.Gelu, 0.25)
    writes("training",
      TrainingSpec(
        ProgramSpec.of(head), Seq("features", "more"), Seq("pair_of_features", "pair_of_more"), Some(Seq(1.0, 0.5, 2.5)), Some(2147483648L),
        ImageLimits(2000, Decode.Auto), Some(AugmentSpec(flip = true, shift = 2, colorJitter = 0.3)), settings))
    writes("program",
      ProgramSpec(
        None, Some("/models/net"), Some("logits"), Seq("stem", "body.*"), Seq(LearningRateFactor("head", 10)), Seq("*.bias"), Some("rows_loss"),
        Seq("top2", "top3")))
    val ofGroups = GroupsSettings(
      LossName.CrossEntropy, 0.2, 0.75, OptimizerSpec(OptimizerName.Sgd, 0.1, 0.5, nesterov = true, 0.02), ScheduleSpec(ScheduleName.Step, 2, 3, 0.25),
      Some(16), 11, 13L)
    writes("groups", GroupsSpec(HeadSpec(6, 2, Seq(4), Activation.Tanh, 0.125), "features", Some(Seq(1.0, 3.0)), Some(1073741824L), ofGroups))
  }

  test("answers of a training") {
    val progress = Json.as[Progress](golden("progress"))
    assert(progress.loss.isNaN && progress.ended(1).trainLoss.isNaN)
    val first = EpochRow(0, 0.75, Some(0.5), Map("accuracy" -> 0.875, "f1" -> 1.0), 0.003, 4160, 3.5, 0.25)
    assert(progress.ended.head == first && first.metrics.values.sum == 1.875 && first.validationLoss.exists(_ < 1))
    assert(progress.ended(1).copy(trainLoss = 0) == EpochRow(1, 0, None, Map.empty, 0.0025, 4161, 3.25, 0.125))
    assert(progress.copy(loss = 0, ended = Nil) == Progress(2, 9, 130, 65, 0, 0.0025, 1234.5, Event.StoppedEarly, epochEnded = true, Nil) && progress.finished)
    val summary = Json.as[DatasetSummary](golden("dataset_summary"))
    assert(summary.labelMin.isNaN && summary.copy(labelMin = 0) == DatasetSummary(5000000000L, 12, 6000000000L, 0, 4.5, labelIntegral = true))
    assert(Json.listOf[Skipped](golden("skipped")) == Seq(Skipped(3, "the label is NaN"), Skipped(50, "not an image")))
  }

  test("answers about packages and the process") {
    def plain(name: String, kind: InputKind) = TensorSpec(name, kind, "f32", Nil)
    reads("description",
      ModelSpec(
        "net", "c0ffee", "a net for tests", "Apache-2.0",
        Seq(
          plain("content", InputKind.Image), plain("words", InputKind.Text), plain("sound", InputKind.Audio),
          TensorSpec("x", InputKind.Tensor, "i64", Seq(3L, 5000000000L))),
        Seq(
          OutputSpec("embedding", OutputRole.Features, "f16", Seq(1280L), 0, None), OutputSpec("logits", OutputRole.Scores, "f32", Seq(3L), 3, Some(2)),
          OutputSpec("names", OutputRole.TokenScores, "f32", Seq(-1L, 9L), 9, None), OutputSpec("first", OutputRole.StartScores, "f32", Seq(-1L), 0, None),
          OutputSpec("last", OutputRole.EndScores, "f32", Seq(-1L), 0, None), OutputSpec("times", OutputRole.Other, "f64", Seq(-1L, 2L), 0, None)),
        48, trainable = true))
    assert(ModelSpec.fromJson(golden("description")).inputs.last.shape.map(_ + 1).last == 5000000001L, "not boxed as something else")
    reads("listing",
      PackageManifest.Listing(
        "net", "c0ffee", Seq(PackageManifest.File("labels.txt", "ab", program = false), PackageManifest.File("net.pt", "cd", program = true))))
    reads("wrapped", PackageManifest.Wrapped(Some("name = \"net\"\n"), Seq("labels.txt", "net.pt")))
    reads("model_facts", ModelFacts("net.bf16.pt", "bf16", "fused", "cuda:1", 6000000000L))
    assert(Json.listOf[String](golden("bad_row_causes")) == BadRowCauses.names)
    reads("totals", Totals(5000000000L, 7, 6, 5, 4, 6000000000L, 3))
  }
}

//! The JSON of the boundary, compared with the same files as the Scala side (`GoldenSuite`): a field that one side
//! renames fails a test of the other. No value in these files is a default.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::path::PathBuf;

use flambeau_engine::faults::Fault;
use flambeau_engine::nearest::{Metric, NearestSpec};
use flambeau_engine::package::{
    Description, Dtype, InputDescription, InputKind, Listing, OutputDescription, PackageFile, Precision, Role, Wrapped,
};
use flambeau_engine::stats::Totals;
use flambeau_engine::{BadRowCause, Device, EngineName, ModelFacts, ModelOptions, OutputRequest, Request, StartSpec, Task, WantedEngine};
use flambeau_media::image::{Decode, ImageLimits};
use flambeau_train::spec::{
    AugmentSpec, HeadActivation, HeadSpec, LearningRateFactor, LossKind, MetricName, OptimizerName, OptimizerSpec,
    Precision as TrainingPrecision, ProgramSpec, ScheduleName, ScheduleSpec, TrainingSpec, ValidationSpec,
};
use flambeau_train::{
    DatasetSpec, DatasetSummary, DenseSpec, EpochRow, Event, ExportSpec, GroupsSpec, ProcessGroupSpec, Progress, Skipped, TrialSpec,
};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

fn golden(name: &str) -> Value {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/golden/{name}.json"));
    serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap()
}

/// The complete specification in the file: with a key more or less it is an error.
fn reads<T: DeserializeOwned + PartialEq + Debug>(name: &str, expected: &T) {
    assert_eq!(serde_json::from_value::<T>(golden(name)).unwrap(), *expected, "{name}");
    let mut more = golden(name);
    more["unheard_of"] = Value::Null;
    assert!(serde_json::from_value::<T>(more).unwrap_err().to_string().contains("unknown field `unheard_of`"), "{name}");
    for (key, value) in golden(name).as_object().unwrap() {
        let mut less = golden(name);
        less.as_object_mut().unwrap().remove(key);
        // None may be omitted.
        let refused = serde_json::from_value::<T>(less).is_ok_and(|other| other == *expected);
        assert!(!refused || value.is_null(), "{name} has a default for {key}");
    }
}

fn writes(name: &str, answer: &impl Serialize) {
    assert_eq!(serde_json::to_value(answer).unwrap(), golden(name), "{name}");
}

#[test]
fn how_a_process_starts_and_a_model_is_opened() {
    let (choices_folder, log_level) = ("/var/engines".into(), "debug".into());
    reads(
        "start",
        &StartSpec { intra_op_threads: 3, decode_threads: 5, idle_model_bytes: 536_870_913, machine_code: true, choices_folder, log_level },
    );
    let hash = Some("c0ffee".into());
    reads(
        "model_options",
        &ModelOptions { hash, precision: Precision::Fastest, min_cosine: 0.995, engine: WantedEngine::Fused, device: Device::Cuda(1) },
    );
}

#[test]
fn what_a_search_for_neighbors_looks_for() {
    reads("nearest", &NearestSpec { metric: Metric::L2, k: 17, threshold: Some(0.25), smaller_ids: true });
}

#[test]
fn what_a_session_computes() {
    let output = |task, k, null_on_error| OutputRequest { task, k, threshold: 0.0, null_on_error };
    let outputs = vec![
        output(Task::Featurize, 0, true),
        output(Task::Classify, 7, false),
        output(Task::Infer, 0, false),
        OutputRequest { threshold: 0.75, ..output(Task::Detect, 0, false) },
        output(Task::Segment, 0, false),
        output(Task::Transcribe, 0, true),
        output(Task::Rerank, 0, true),
        output(Task::Entities, 0, false),
        output(Task::Answer, 0, true),
        output(Task::Error, 0, true),
    ];
    let images = ImageLimits { max_pixels: 4_294_836_225, decode: Decode::Auto };
    reads("session", &Request { outputs, images, pass_rows: Some(48), fault: Some(Fault::Allocation) });
}

#[test]
fn how_a_feed_takes_rows() {
    let dense = BTreeMap::from([
        ("features".into(), DenseSpec { shape: vec![3, 8], dtype: Dtype::F32 }),
        ("__label".into(), DenseSpec { shape: vec![2], dtype: Dtype::F64 }),
    ]);
    let trial = TrialSpec {
        package: "/models/net".into(),
        inputs: vec!["content".into(), "text".into()],
        images: ImageLimits { max_pixels: 1000, decode: Decode::Auto },
    };
    let (directory, label_range) = ("/scratch/7".into(), Some((-1.0, 0.5)));
    reads("dataset", &DatasetSpec { directory, shards: 96, dense, label_range, skip_invalid: true, trial: Some(trial) });
}

#[test]
fn how_workers_join() {
    let (own_host, secret, process) = ("10.0.0.7".into(), "of all workers".into(), String::new());
    let expected = ProcessGroupSpec { rank: 2, world: 4, own_host, timeout_ms: 120_000, secret, process };
    // It has no Debug, so that its secret is in no log.
    assert!(serde_json::from_value::<ProcessGroupSpec>(golden("process_group")).unwrap() == expected);
}

fn head(outputs: usize, hidden: Vec<usize>, activation: HeadActivation, dropout: f64) -> HeadSpec {
    HeadSpec { inputs: 6, outputs, hidden, activation, dropout }
}

fn optimizer(name: OptimizerName, lr: f64, momentum: f64, weight_decay: f64) -> OptimizerSpec {
    OptimizerSpec { name, lr, momentum, nesterov: true, beta1: None, beta2: None, eps: None, alpha: None, weight_decay }
}

#[test]
fn a_training() {
    reads(
        "training",
        &TrainingSpec {
            program: ProgramSpec::of_head(head(3, vec![8, 4], HeadActivation::Gelu, 0.25)),
            inputs: vec!["features".into(), "more".into()],
            pair_inputs: vec!["pair_of_features".into(), "pair_of_more".into()],
            loss: LossKind::Huber,
            class_weights: Some(vec![1.0, 0.5, 2.5]),
            label_smoothing: 0.1,
            huber_delta: 1.5,
            temperature: 0.07,
            optimizer: optimizer(OptimizerName::RmsProp, 0.003, 0.9, 0.01),
            schedule: ScheduleSpec { name: ScheduleName::OneCycle, warmup_steps: 5, step_epochs: 7, gamma: 0.5 },
            clip_norm: Some(2.5),
            ema_decay: Some(0.99),
            batch_rows: 48,
            micro_batch_rows: Some(12),
            epochs: 9,
            steps_per_epoch: Some(70),
            drop_last: true,
            memory_bytes: Some(1 << 31),
            images: ImageLimits { max_pixels: 2000, decode: Decode::Auto },
            seed: i64::MAX as u64,
            precision: TrainingPrecision::Bf16,
            augment: Some(AugmentSpec { flip: true, shift: 2, color_jitter: 0.3 }),
            validation: ValidationSpec { metric: MetricName::Auc, patience: Some(3), min_delta: 0.001, restore_best: false },
            checkpoint_steps: Some(100),
            checkpoint_epochs: Some(2),
        },
    );
    reads(
        "program",
        &ProgramSpec {
            head: None,
            package: Some("/models/net".into()),
            output: Some("logits".into()),
            frozen: vec!["stem".into(), "body.*".into()],
            learning_rate_factors: vec![LearningRateFactor { parameters: "head".into(), factor: 10.0 }],
            no_weight_decay: vec!["*.bias".into()],
            loss_method: Some("rows_loss".into()),
            metric_methods: vec!["top2".into(), "top3".into()],
        },
    );
}

#[test]
fn heads_of_groups() {
    reads(
        "groups",
        &GroupsSpec {
            head: head(2, vec![4], HeadActivation::Tanh, 0.125),
            input: "features".into(),
            loss: LossKind::CrossEntropy,
            class_weights: Some(vec![1.0, 3.0]),
            label_smoothing: 0.2,
            huber_delta: 0.75,
            optimizer: optimizer(OptimizerName::Sgd, 0.1, 0.5, 0.02),
            schedule: ScheduleSpec { name: ScheduleName::Step, warmup_steps: 2, step_epochs: 3, gamma: 0.25 },
            batch_rows: Some(16),
            epochs: 11,
            seed: 13,
            memory_bytes: Some(1 << 30),
        },
    );
}

#[test]
fn the_package_of_a_result() {
    reads(
        "export",
        &ExportSpec {
            name: "torchClassifier_1".into(),
            labels: Some(vec!["rose".into(), "tulip".into()]),
            license: "MIT".into(),
            description: "trained by a test".into(),
            featurizer: Some("/models/lite".into()),
        },
    );
}

#[test]
fn answers_of_a_training() {
    let first = EpochRow {
        epoch: 0,
        train_loss: Some(0.75),
        validation_loss: Some(0.5),
        metrics: BTreeMap::from([("accuracy".into(), 0.875), ("f1".into(), 1.0)]),
        lr: 0.003,
        samples: 4160,
        seconds: 3.5,
        waited_seconds: 0.25,
    };
    let second = EpochRow {
        epoch: 1,
        train_loss: None,
        validation_loss: None,
        metrics: BTreeMap::new(),
        lr: 0.0025,
        samples: 4161,
        seconds: 3.25,
        waited_seconds: 0.125,
    };
    writes(
        "progress",
        &Progress {
            epoch: 2,
            epochs: 9,
            step: 130,
            steps_per_epoch: 65,
            loss: None,
            lr: 0.0025,
            samples_per_second: 1234.5,
            event: Event::StoppedEarly,
            epoch_ended: true,
            ended: vec![first, second],
        },
    );
    writes(
        "dataset_summary",
        &DatasetSummary {
            rows: 5_000_000_000,
            validation_rows: 12,
            bytes: 6_000_000_000,
            label_min: None,
            label_max: Some(4.5),
            label_integral: true,
        },
    );
    let skipped = |row, cause: &str| Skipped { row, cause: cause.into() };
    writes("skipped", &[skipped(3, "the label is NaN"), skipped(50, "not an image")]);
}

#[test]
fn answers_about_packages_and_the_process() {
    let input = |name: &str, kind, dtype, shape| InputDescription { name: name.into(), kind, dtype, shape };
    let output = |name: &str, role, dtype, shape, labels, entailment| OutputDescription {
        name: name.into(),
        role,
        dtype,
        shape,
        labels,
        entailment,
    };
    writes(
        "description",
        &Description {
            name: "net".into(),
            hash: "c0ffee".into(),
            description: "a net for tests".into(),
            license: "Apache-2.0".into(),
            batch_rows: 48,
            trainable: true,
            inputs: vec![
                input("content", InputKind::Image, Dtype::F32, vec![]),
                input("words", InputKind::Text, Dtype::F32, vec![]),
                input("sound", InputKind::Audio, Dtype::F32, vec![]),
                input("x", InputKind::Tensor, Dtype::I64, vec![3, 5_000_000_000]),
            ],
            outputs: vec![
                output("embedding", Role::Features, Dtype::F16, vec![1280], 0, None),
                output("logits", Role::Scores, Dtype::F32, vec![3], 3, Some(2)),
                output("names", Role::TokenScores, Dtype::F32, vec![-1, 9], 9, None),
                output("first", Role::StartScores, Dtype::F32, vec![-1], 0, None),
                output("last", Role::EndScores, Dtype::F32, vec![-1], 0, None),
                output("times", Role::Other, Dtype::F64, vec![-1, 2], 0, None),
            ],
        },
    );
    let file = |name: &str, sha256: &str, program| PackageFile { name: name.into(), sha256: sha256.into(), program };
    let files = vec![file("labels.txt", "ab", false), file("net.pt", "cd", true)];
    writes("listing", &Listing { name: "net".into(), hash: "c0ffee".into(), files });
    let needs = vec!["labels.txt".into(), "net.pt".into()];
    writes("wrapped", &Wrapped { manifest: Some("name = \"net\"\n".into()), needs });
    writes(
        "model_facts",
        &ModelFacts {
            variant: "net.bf16.pt".into(),
            precision: "bf16".into(),
            engine: EngineName::Fused,
            device: Device::Cuda(1).to_string(),
            weights_bytes: 6_000_000_000,
        },
    );
    writes("bad_row_causes", &BadRowCause::ALL);
    writes(
        "totals",
        &Totals {
            rows_forwarded: 5_000_000_000,
            forwards: 7,
            model_loads: 6,
            models_in_memory: 5,
            models_evicted: 4,
            weights_bytes: 6_000_000_000,
            live_handles: 3,
        },
    );
}

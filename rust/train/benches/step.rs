//! Steps of training on one thread: `cargo bench -p flambeau-train`, after `./gradlew venv`. Each measurement is an epoch of 32 steps,
//! from rows on disk to the changed parameters. Some train a head over 1280 features, one a small convolutional network with batch
//! normalization over pictures of 3 channels and 8 x 8 pixels. The last two train heads of groups, all groups at once. CONTRIBUTING.md
//! says how to compare two states of the code.

#![allow(missing_docs, clippy::expect_used, clippy::unwrap_used, reason = "a program for people who measure")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int32Array, Int64Array, StructArray};
use arrow_schema::{Field, Fields};
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use flambeau_torch_ext::process;
use flambeau_train::{Event, ProcessGroup, TrainingDataset, TrainingLoop, train_groups};
use serde_json::{Value, json};

#[path = "../tests/train/whole.rs"]
mod whole;

const STEPS: usize = 32;
const BATCH_ROWS: usize = 64;
const ROWS: usize = STEPS * BATCH_ROWS;
const FEATURES: usize = 1280;
const CLASSES: usize = 5;
const GROUPS: usize = 64;
/// A picture of the network.
const PICTURE: [usize; 3] = [3, 8, 8];

/// A number that looks random, between -1/2 and 1/2.
fn value(i: usize) -> f32 {
    f32::from((i as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0]) / 256.0 - 0.5
}

/// Lists of `lengths` values each, from the innermost.
fn nested(values: usize, lengths: &[usize]) -> ArrayRef {
    let numbers: ArrayRef = Arc::new(Float32Array::from_iter_values((0..values).map(value)));
    lengths.iter().fold(numbers, |inner, length| {
        let item = Arc::new(Field::new("item", inner.data_type().clone(), false));
        Arc::new(FixedSizeListArray::new(item, *length as i32, inner, None))
    })
}

/// `ROWS` rows of `x`, with labels of `classes` classes.
fn rows(x: ArrayRef, classes: usize) -> StructArray {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("x", x),
        ("__label", Arc::new(Float64Array::from_iter_values((0..ROWS).map(|row| (row % classes) as f64)))),
        ("__shard", Arc::new(Int32Array::from_iter_values((0..ROWS).map(|row| (row % 256) as i32)))),
        ("__group", Arc::new(Int64Array::from_iter_values((0..ROWS).map(|row| (row % GROUPS) as i64)))),
    ];
    let fields: Fields = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    StructArray::new(fields, columns.into_iter().map(|(_, column)| column).collect(), None)
}

fn dataset(directory: &Path, shape: &[usize], rows: &StructArray) -> Arc<TrainingDataset> {
    let spec = whole::dataset(&json!({"directory": directory, "shards": 256, "dense": {"x": {"shape": shape}}}));
    let dataset = TrainingDataset::create(spec, rows.fields().clone()).expect("a dataset");
    dataset.add(rows).expect("rows");
    dataset.finish().expect("a finished dataset");
    Arc::new(dataset)
}

/// A training of a network, whose package Python writes.
fn network(directory: &Path) -> Value {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let program =
        "import pathlib, sys; from trainable_packages import save_net; save_net(pathlib.Path(sys.argv[1]), 'net', True, 'tensor')";
    let mut python = Command::new(here.join("../../.venv/bin/python"));
    let made =
        python.current_dir(here.join("tests/train")).args(["-B", "-c", program]).arg(directory).status().expect("run ./gradlew venv");
    assert!(made.success());
    json!({"program": {"package": directory.join("net"), "output": "logits"}, "inputs": ["x"], "loss": "cross_entropy",
        "optimizer": {"name": "adam", "lr": 0.001}, "batch_rows": BATCH_ROWS, "epochs": 1, "seed": 1})
}

fn training(hidden: &Value, optimizer: &str) -> Value {
    json!({"program": {"head": {"inputs": FEATURES, "outputs": CLASSES, "hidden": hidden}}, "inputs": ["x"], "loss": "cross_entropy",
        "optimizer": {"name": optimizer, "lr": 0.001}, "batch_rows": BATCH_ROWS, "epochs": 1, "seed": 1})
}

fn steps(criterion: &mut Criterion) {
    process::set_intra_op_threads(1).expect("one thread");
    let directory = std::env::temp_dir().join(format!("flambeau-step-{}", std::process::id()));
    let ranks = Arc::new(ProcessGroup::alone());
    let features = dataset(&directory, &[FEATURES], &rows(nested(ROWS * FEATURES, &[FEATURES]), CLASSES));
    let pictures = dataset(&directory, &PICTURE, &rows(nested(ROWS * PICTURE.iter().product::<usize>(), &[8, 8, 3]), 2));
    let mut group = criterion.benchmark_group("steps");
    group.throughput(Throughput::Elements(STEPS as u64));
    let trainings = [
        ("linear, sgd", &features, vec![training(&json!([]), "sgd")]),
        ("linear, adam", &features, vec![training(&json!([]), "adam")]),
        ("64 hidden, adam", &features, vec![training(&json!([64]), "adam")]),
        ("8 heads together", &features, vec![training(&json!([64]), "adam"); 8]),
        ("network, adam", &pictures, vec![network(&directory)]),
    ];
    for (name, dataset, specs) in trainings {
        let open = || {
            let specs = specs.iter().map(whole::training).collect();
            TrainingLoop::open(dataset, &ranks, specs, Arc::new(AtomicBool::new(false))).expect("trainings")
        };
        let run = |training: &mut TrainingLoop| {
            let progress = training.run(Duration::from_secs(600)).expect("an epoch");
            assert!(progress.iter().all(|one| one.event == Event::Done));
        };
        group.bench_function(name, |bencher| bencher.iter_batched_ref(open, run, BatchSize::PerIteration));
    }
    let groups = |batch_rows: Value| {
        whole::groups(&json!({"head": {"inputs": FEATURES, "outputs": CLASSES, "hidden": [16]}, "input": "x", "loss": "cross_entropy",
            "optimizer": {"name": "adam", "lr": 0.001}, "batch_rows": batch_rows, "epochs": 8, "seed": 1}))
    };
    for (name, spec) in [("64 groups", groups(Value::Null)), ("64 groups, in batches", groups(json!(8)))] {
        group.bench_function(name, |bencher| bencher.iter(|| train_groups(&features, &spec, features.canceled()).expect("heads")));
    }
    drop((features, pictures));
    // Only the network's package is there now; a failure to delete it does not affect the next run.
    let _ = std::fs::remove_dir_all(&directory);
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = steps
}
criterion_main!(benches);

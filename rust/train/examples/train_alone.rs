//! Training alone, without a JVM: rows per second of a head over features and of a convolutional net, for comparison with
//! the same loop in Python torch (`train_alone.py`, which also makes the net's package).
//!
//! `train_alone head|mlp BATCH EPOCHS [WORLD [HOW]]`, `net PACKAGE BATCH EPOCHS [WORLD [HOW]]`, `maps COUNT BATCH EPOCHS`. One thread a worker.
//! HOW is how the workers are joined: `memory` (the default, as in one executor), `sockets` (as in several), or `apart`. With
//! `apart` they are independent loops, each over its share of the rows and of the batch. Prints a line of (loss, rows per second)
//! by epoch for each.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "an example")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int32Array, StructArray};
use arrow_schema::{DataType, Field, Fields};
use board::FolderBoard;
use flambeau_torch_ext::process;
use flambeau_train::{Event, ProcessGroup, ProcessGroupSpec, TrainingDataset, TrainingLoop};
use serde_json::{Value, json};

#[path = "../tests/train/board.rs"]
mod board;
#[path = "../tests/train/whole.rs"]
mod whole;

const HEAD_ROWS: usize = 20_000;
const FEATURES: usize = 1280;
const NET_ROWS: usize = 512;

/// Pseudo-random numbers, the same as in train_alone.py: ((i * 2654435761) mod 2^32) / 2^32 - 1/2.
fn value(i: usize) -> f32 {
    (((i as u64).wrapping_mul(2_654_435_761) & 0xFFFF_FFFF) as f64 / 4_294_967_296.0 - 0.5) as f32
}

fn dataset(rows: usize, width: usize, shape: &Value, classes: usize, rank: usize, world: usize) -> Arc<TrainingDataset> {
    let shards = 256;
    let own: Vec<usize> = (0..rows).filter(|row| row % shards % world == rank).collect();
    let batch = |own: &[usize]| {
        let values: Vec<f32> = own.iter().flat_map(|row| (0..width).map(move |j| value(row * width + j))).collect();
        let item = Arc::new(Field::new("item", DataType::Float32, false));
        let flat = FixedSizeListArray::new(item, i32::try_from(width).unwrap(), Arc::new(Float32Array::from(values)), None);
        let x = if shape.as_array().unwrap().len() == 1 { Arc::new(flat) as ArrayRef } else { nested(&flat, own.len()) };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("x", x),
            ("__label", Arc::new(Float64Array::from_iter_values(own.iter().map(|row| (row % classes) as f64)))),
            ("__shard", Arc::new(Int32Array::from_iter_values(own.iter().map(|row| (row % shards) as i32)))),
        ];
        let fields: Fields = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
        StructArray::new(fields, columns.into_iter().map(|(_, column)| column).collect(), None)
    };
    let directory = std::env::temp_dir().join(format!("flambeau-train-alone-{}", std::process::id()));
    let spec = whole::dataset(&json!({"directory": directory, "shards": shards, "dense": {"x": {"shape": shape}}}));
    let dataset = TrainingDataset::create(spec, batch(&own[..1]).fields().clone()).unwrap();
    for chunk in own.chunks(512) {
        dataset.add(&batch(chunk)).unwrap();
    }
    dataset.finish().unwrap();
    Arc::new(dataset)
}

/// [3, 64, 64] a row.
fn nested(flat: &FixedSizeListArray, rows: usize) -> ArrayRef {
    let values = flat.values().clone();
    let list = |values: ArrayRef, size: i32| -> ArrayRef {
        let item = Arc::new(Field::new("item", values.data_type().clone(), false));
        Arc::new(FixedSizeListArray::new(item, size, values, None))
    };
    let pictures = list(list(list(values, 64), 64), 3);
    assert_eq!(pictures.len(), rows);
    pictures
}

fn run(dataset: &Arc<TrainingDataset>, ranks: &Arc<ProcessGroup>, specs: Vec<Value>) -> Vec<(f64, f64)> {
    let specs = specs.iter().map(whole::training).collect();
    let mut training = TrainingLoop::open(dataset, ranks, specs, Arc::new(AtomicBool::new(false))).unwrap();
    let mut epochs = Vec::new();
    loop {
        let progress = training.run(Duration::from_secs(600)).unwrap();
        let of = |row: &flambeau_train::EpochRow| (row.train_loss.unwrap(), row.samples as f64 / row.seconds);
        epochs.extend(progress[0].ended.iter().map(of));
        if progress.iter().all(|one| one.event == Event::Done) {
            return epochs;
        }
    }
}

/// A training and its rows.
struct Training {
    spec: Value,
    rows: usize,
    shape: Value,
    classes: usize,
}

impl Training {
    fn dataset(&self, rank: usize, world: usize) -> Arc<TrainingDataset> {
        let width = self.shape.as_array().unwrap().iter().map(|n| usize::try_from(n.as_u64().unwrap()).unwrap()).product();
        dataset(self.rows, width, &self.shape, self.classes, rank, world)
    }

    /// In `world` threads.
    fn with_workers(&self, world: usize, how: &str) {
        let folder = std::env::temp_dir().join(format!("flambeau-train-alone-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::thread::scope(|scope| {
            for rank in 0..world {
                let folder = &folder;
                scope.spawn(move || {
                    let process = if how == "sockets" { rank.to_string() } else { String::new() };
                    let secret = String::new();
                    let member = ProcessGroupSpec { rank, world, own_host: "127.0.0.1".into(), timeout_ms: 60_000, secret, process };
                    let dataset = self.dataset(rank, world);
                    let ranks = ProcessGroup::join(&member, &mut FolderBoard(folder.clone()), &AtomicBool::new(false)).unwrap();
                    let mut spec = self.spec.clone();
                    let apart = how == "apart";
                    if apart {
                        spec["batch_rows"] = json!(spec["batch_rows"].as_u64().unwrap() / world as u64);
                    }
                    let history = run(&dataset, &Arc::new(if apart { ProcessGroup::alone() } else { ranks }), vec![spec]);
                    if apart || rank == 0 {
                        println!("{history:?}");
                    }
                });
            }
        });
        std::fs::remove_dir_all(&folder).unwrap();
    }
}

fn main() {
    process::tune_malloc();
    process::set_intra_op_threads(1).unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, otherwise: usize| arguments.get(i).map_or(otherwise, |n| n.parse().unwrap());
    let kind = arguments[0].as_str();
    let after = usize::from(kind == "net" || kind == "maps");
    let (batch, epochs) = (number(1 + after, if kind == "net" { 32 } else { 64 }), number(2 + after, 3));
    let training = if kind == "net" {
        let spec = json!({"program": {"package": PathBuf::from(&arguments[1])}, "inputs": ["x"], "loss": "cross_entropy",
            "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9}, "batch_rows": batch, "epochs": epochs, "seed": 1});
        Training { spec, rows: NET_ROWS, shape: json!([3, 64, 64]), classes: 10 }
    } else {
        let hidden = if kind == "mlp" { json!([64]) } else { json!([]) };
        let spec = json!({"program": {"head": {"inputs": FEATURES, "outputs": 5, "hidden": hidden}}, "inputs": ["x"], "loss": "cross_entropy",
            "optimizer": {"name": "adam", "lr": 0.001}, "batch_rows": batch, "epochs": epochs, "seed": 1});
        Training { spec, rows: HEAD_ROWS, shape: json!([FEATURES]), classes: 5 }
    };
    let maps = if kind == "maps" { number(1, 8) } else { 1 };
    match number(3 + after, 1) {
        1 => println!("{:?}", run(&training.dataset(0, 1), &Arc::new(ProcessGroup::alone()), vec![training.spec.clone(); maps])),
        world => training.with_workers(world, arguments.get(4 + after).map_or("memory", String::as_str)),
    }
}

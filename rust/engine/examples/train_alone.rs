//! Training alone, with no JVM around it: rows a second of a head over features and of a convolutional net, for comparison with
//! the same loop in Python torch (`train_alone.py`, which also makes the net's package).
//!
//! `cargo run --release --example train_alone -- head BATCH EPOCHS [WORLD]`, or `net PACKAGE BATCH EPOCHS`. One thread.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "an example")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float32Array, Float64Array, Int32Array, StructArray};
use arrow_schema::{DataType, Field, Fields};
use board::FolderBoard;
use flambeau_engine::train::{Event, Feed, FeedSpec, GroupSpec, Ranks, Trainer};
use flambeau_torch_ext::process;
use serde_json::{Value, json};

#[path = "../tests/train/board.rs"]
mod board;

const HEAD_ROWS: usize = 20_000;
const FEATURES: usize = 1280;
const NET_ROWS: usize = 512;
const NET_VALUES: usize = 3 * 64 * 64;

/// Numbers that look random, the same as in train_alone.py: ((i * 2654435761) mod 2^32) / 2^32 - 1/2.
fn value(i: usize) -> f32 {
    (((i as u64).wrapping_mul(2_654_435_761) & 0xFFFF_FFFF) as f64 / 4_294_967_296.0 - 0.5) as f32
}

fn feed(rows: usize, width: usize, shape: &Value, classes: usize, rank: usize, world: usize) -> Arc<Feed> {
    let slots = 256;
    let own: Vec<usize> = (0..rows).filter(|row| row % slots % world == rank).collect();
    let batch = |own: &[usize]| {
        let values: Vec<f32> = own.iter().flat_map(|row| (0..width).map(move |j| value(row * width + j))).collect();
        let item = Arc::new(Field::new("item", DataType::Float32, false));
        let flat = FixedSizeListArray::new(item, i32::try_from(width).unwrap(), Arc::new(Float32Array::from(values)), None);
        let x = if shape.as_array().unwrap().len() == 1 { Arc::new(flat) as ArrayRef } else { nested(&flat, own.len()) };
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("x", x),
            ("__label", Arc::new(Float64Array::from_iter_values(own.iter().map(|row| (row % classes) as f64)))),
            ("__slot", Arc::new(Int32Array::from_iter_values(own.iter().map(|row| (row % slots) as i32)))),
        ];
        let fields: Fields = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
        StructArray::new(fields, columns.into_iter().map(|(_, column)| column).collect(), None)
    };
    let directory = std::env::temp_dir().join(format!("flambeau-train-alone-{}", std::process::id()));
    let spec: FeedSpec = serde_json::from_value(json!({"directory": directory, "slots": slots, "dense": {"x": {"shape": shape}}})).unwrap();
    let feed = Feed::create(spec, batch(&own[..1]).fields().clone()).unwrap();
    for chunk in own.chunks(512) {
        feed.add(&batch(chunk)).unwrap();
    }
    feed.seal().unwrap();
    Arc::new(feed)
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

fn run(feed: &Arc<Feed>, ranks: &Arc<Ranks>, spec: Value) -> Vec<(f64, f64)> {
    let spec = serde_json::from_value(spec).unwrap();
    let mut trainer = Trainer::open(feed, ranks, spec, Arc::new(AtomicBool::new(false))).unwrap();
    loop {
        let progress = trainer.run(Duration::from_secs(600)).unwrap();
        if progress.event == Event::Done {
            let of = |row: &flambeau_engine::train::EpochRow| (row.train_loss.unwrap(), row.samples as f64 / row.seconds);
            return progress.history.iter().map(of).collect();
        }
    }
}

fn main() {
    process::tune_malloc();
    process::set_intra_op_threads(1).unwrap();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, otherwise: usize| arguments.get(i).map_or(otherwise, |n| n.parse().unwrap());
    let optimizer = json!({"name": "adam", "lr": 0.001});
    if arguments[0] == "net" {
        let spec = json!({"program": {"package": PathBuf::from(&arguments[1])}, "inputs": ["x"], "loss": "cross_entropy",
            "optimizer": {"name": "sgd", "lr": 0.01, "momentum": 0.9}, "batch_rows": number(2, 32), "epochs": number(3, 3), "seed": 1});
        let feed = feed(NET_ROWS, NET_VALUES, &json!([3, 64, 64]), 10, 0, 1);
        println!("{:?}", run(&feed, &Arc::new(Ranks::alone()), spec));
        return;
    }
    let spec = json!({"program": {"head": {"inputs": FEATURES, "outputs": 5, "hidden": if arguments[0] == "mlp" { json!([64]) } else { json!([]) }}},
        "inputs": ["x"], "loss": "cross_entropy", "optimizer": optimizer, "batch_rows": number(1, 64), "epochs": number(2, 3), "seed": 1});
    let world = number(3, 1);
    if world == 1 {
        println!("{:?}", run(&feed(HEAD_ROWS, FEATURES, &json!([FEATURES]), 5, 0, 1), &Arc::new(Ranks::alone()), spec));
        return;
    }
    let folder = std::env::temp_dir().join(format!("flambeau-train-alone-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::thread::scope(|scope| {
        for rank in 0..world {
            let (folder, spec) = (&folder, spec.clone());
            scope.spawn(move || {
                let member = GroupSpec { rank, world, own_host: "127.0.0.1".into(), timeout_ms: 60_000, secret: String::new() };
                let ranks = Arc::new(Ranks::join(&member, &mut FolderBoard(folder.clone()), &AtomicBool::new(false)).unwrap());
                let feed = feed(HEAD_ROWS, FEATURES, &json!([FEATURES]), 5, rank, world);
                let history = run(&feed, &ranks, spec);
                if rank == 0 {
                    println!("{history:?}");
                }
            });
        }
    });
    std::fs::remove_dir_all(&folder).unwrap();
}

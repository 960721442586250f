//! Rows, datasets, ranks as threads, and the reference that Python made.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, BooleanArray, Float64Array, Int32Array, Int64Array, ListArray, StructArray};
use arrow_schema::{Field, Fields};
use flambeau_engine::EngineError;
use flambeau_engine::package::Description;
use flambeau_train::spec::TrainingSpec;
use flambeau_train::{EpochRow, Event, ExportSpec, ProcessGroup, ProcessGroupSpec, Progress, TrainingDataset, TrainingLoop};
use serde_json::{Value, json};

use crate::board::FolderBoard;
use crate::whole;

/// Shards of all tests' rows.
pub const SHARDS: u32 = 16;

pub type Parameters = BTreeMap<String, Vec<f32>>;

/// A new folder under Cargo's own for tests.
pub fn folder(name: &str) -> PathBuf {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let n = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("train-{}-{n}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

/// The files that Python wrote, once for all tests of this run: reference.json and packages.
pub fn reference() -> &'static (Value, PathBuf) {
    static MADE: OnceLock<(Value, PathBuf)> = OnceLock::new();
    MADE.get_or_init(|| {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/train/reference.py");
        let directory = folder("reference");
        let output = Command::new(repository.join(".venv/bin/python")).arg(&script).arg(&directory).output();
        let output = output.expect("this test needs .venv: run ./gradlew venv");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = std::fs::read_to_string(directory.join("reference.json")).unwrap();
        (serde_json::from_str(&text).unwrap(), directory)
    })
}

/// Rows of a training; row i has the id i and the shard 7 i mod SHARDS.
#[derive(Clone, Default)]
pub struct Rows {
    pub x: Vec<Vec<f32>>,
    pub labels: Vec<f64>,
    pub weights: Option<Vec<f64>>,
    pub validation: Option<Vec<bool>>,
}

pub fn shard(row: usize) -> u32 {
    (7 * row % SHARDS as usize) as u32
}

pub fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

pub fn floats(value: &Value) -> Vec<f32> {
    numbers(value).into_iter().map(|v| v as f32).collect()
}

/// The reference's rows with these labels.
pub fn rows(labels: &Value, weighted: bool) -> Rows {
    let (all, _) = reference();
    Rows {
        x: all["x"].as_array().unwrap().iter().map(floats).collect(),
        labels: numbers(labels),
        weights: weighted.then(|| numbers(&all["weights"])),
        validation: None,
    }
}

pub fn struct_of(columns: Vec<(&str, ArrayRef)>) -> StructArray {
    let fields: Fields = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), true)).collect();
    StructArray::new(fields, columns.into_iter().map(|(_, column)| column).collect(), None)
}

impl Rows {
    pub fn batch(&self, rows: &[usize]) -> StructArray {
        let x = rows.iter().map(|&i| Some(self.x[i].iter().copied().map(Some).collect::<Vec<_>>()));
        let column = |values: &Vec<f64>| Arc::new(Float64Array::from_iter_values(rows.iter().map(|i| values[*i]))) as ArrayRef;
        let mut columns: Vec<(&str, ArrayRef)> = vec![
            ("x", Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(x))),
            ("__label", column(&self.labels)),
            ("__id", Arc::new(Int64Array::from_iter_values(rows.iter().map(|i| *i as i64)))),
            ("__shard", Arc::new(Int32Array::from_iter_values(rows.iter().map(|i| shard(*i) as i32)))),
        ];
        if let Some(weights) = &self.weights {
            columns.push(("__weight", column(weights)));
        }
        if let Some(flags) = &self.validation {
            columns.push(("__validation", Arc::new(BooleanArray::from(rows.iter().map(|i| flags[*i]).collect::<Vec<_>>()))));
        }
        struct_of(columns)
    }

    /// A finished dataset of these rows, added in batches of 50 in this order.
    pub fn dataset(&self, rows: &[usize], dense: &Value) -> Arc<TrainingDataset> {
        let spec = whole::dataset(&json!({"directory": folder("dataset"), "shards": SHARDS, "dense": dense}));
        let dataset = TrainingDataset::create(spec, self.batch(&[]).fields().clone()).unwrap();
        for chunk in rows.chunks(50) {
            dataset.add(&self.batch(chunk)).unwrap();
        }
        dataset.finish().unwrap();
        Arc::new(dataset)
    }

    pub fn dense(&self) -> Value {
        json!({"x": {"shape": [self.x.first().map_or(1, Vec::len)]}})
    }

    /// Rows of a rank, in an order that does not depend on their ids.
    pub fn of_rank(&self, rank: usize, world: usize) -> Vec<usize> {
        let mut own: Vec<usize> = (0..self.x.len()).filter(|i| shard(*i) as usize % world == rank).collect();
        own.sort_by_key(|i| (i * 31 + 5) % 101);
        own
    }
}

pub fn spec(value: &Value) -> TrainingSpec {
    whole::training(value)
}

/// One training by itself. Its reports say all epochs, so that tests read a whole history from the last one.
pub struct Trainer(TrainingLoop, Vec<EpochRow>);

impl Trainer {
    pub fn open(
        dataset: &Arc<TrainingDataset>,
        ranks: &Arc<ProcessGroup>,
        spec: TrainingSpec,
        canceled: Arc<AtomicBool>,
    ) -> Result<Self, EngineError> {
        TrainingLoop::open(dataset, ranks, vec![spec], canceled).map(|training| Self(training, Vec::new()))
    }

    pub fn run(&mut self, limit: Duration) -> Result<Progress, EngineError> {
        let mut progress = self.0.run(limit)?.remove(0);
        self.1.append(&mut progress.ended);
        progress.ended.clone_from(&self.1);
        Ok(progress)
    }

    pub fn stop(&mut self) -> Result<(), EngineError> {
        self.0.stop(0)
    }

    pub fn save_checkpoint(&self, file: &Path) -> Result<(), EngineError> {
        self.0.save_checkpoint(0, file)
    }

    pub fn restore_checkpoint(&mut self, file: &Path) -> Result<(), EngineError> {
        self.1.clear();
        self.0.restore_checkpoint(0, file)
    }

    pub fn save_package(&self, directory: &Path, spec: &ExportSpec) -> Result<Description, EngineError> {
        self.0.save_package(0, directory, spec)
    }
}

pub fn open(dataset: &Arc<TrainingDataset>, ranks: &Arc<ProcessGroup>, value: &Value) -> Result<Trainer, EngineError> {
    Trainer::open(dataset, ranks, spec(value), Arc::new(AtomicBool::new(false)))
}

pub fn alone(rows: &Rows, value: &Value) -> Trainer {
    let all: Vec<usize> = (0..rows.x.len()).rev().collect();
    open(&rows.dataset(&all, &rows.dense()), &Arc::new(ProcessGroup::alone()), value).unwrap()
}

pub fn finish(trainer: &mut Trainer) -> Result<Progress, EngineError> {
    loop {
        let progress = trainer.run(Duration::from_secs(600))?;
        if matches!(progress.event, Event::Done | Event::StoppedEarly) {
            return Ok(progress);
        }
    }
}

/// Contents of the saved program: parameters and buffers by name.
pub fn parameters(trainer: &Trainer) -> Parameters {
    parameters_of(&trainer.0, 0)
}

/// The same of one of several trainings.
pub fn parameters_of(trainings: &TrainingLoop, place: usize) -> Parameters {
    let directory = folder("package");
    let spec =
        ExportSpec { name: "result".into(), labels: None, license: "NOASSERTION".into(), description: String::new(), featurizer: None };
    trainings.save_package(place, &directory, &spec).unwrap();
    let module = tch::CModule::load(directory.join("model.pt")).unwrap();
    let flat = |t: &tch::Tensor| Vec::<f32>::try_from(t.to_kind(tch::Kind::Float).contiguous().view([-1])).unwrap();
    module.named_parameters().unwrap().iter().map(|(name, t)| (name.clone(), flat(t))).collect()
}

/// One of `world` ranks on this machine.
pub fn member(rank: usize, world: usize, timeout_ms: u64) -> ProcessGroupSpec {
    ProcessGroupSpec { rank, world, own_host: "127.0.0.1".into(), timeout_ms, secret: "of the tests".into(), process: String::new() }
}

/// How the ranks of a test are spread over processes, which are names here: they are threads of this one.
#[derive(Clone, Copy)]
pub enum Spread {
    /// All in this process: they add up in memory.
    Together,
    /// Each in one of its own: they add up by sockets.
    Apart,
    /// Two in each: both.
    Pairs,
}

impl Spread {
    fn process(self, rank: usize) -> String {
        match self {
            Self::Together => String::new(),
            Self::Apart => format!("process {rank}"),
            Self::Pairs => format!("process {}", rank / 2),
        }
    }
}

/// Runs `body` once for each rank, on threads of one process, in one group.
pub fn group<T: Send>(world: usize, timeout_ms: u64, body: impl Fn(Arc<ProcessGroup>) -> T + Sync) -> Vec<T> {
    spread_group(world, Spread::Together, timeout_ms, body)
}

/// The same over processes.
pub fn spread_group<T: Send>(world: usize, spread: Spread, timeout_ms: u64, body: impl Fn(Arc<ProcessGroup>) -> T + Sync) -> Vec<T> {
    let folder = folder("board");
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..world)
            .map(|rank| {
                let (folder, body) = (&folder, &body);
                scope.spawn(move || {
                    let member = ProcessGroupSpec { process: spread.process(rank), ..member(rank, world, timeout_ms) };
                    let ranks = ProcessGroup::join(&member, &mut FolderBoard(folder.clone()), &AtomicBool::new(false));
                    body(Arc::new(ranks.unwrap()))
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The result of each of `world` ranks.
pub fn train_with(world: usize, rows: &Rows, value: &Value) -> Vec<(Parameters, Progress)> {
    train_spread(world, Spread::Together, rows, value)
}

/// The same over processes.
pub fn train_spread(world: usize, spread: Spread, rows: &Rows, value: &Value) -> Vec<(Parameters, Progress)> {
    spread_group(world, spread, 60_000, |ranks| {
        let dataset = rows.dataset(&rows.of_rank(ranks.rank, world), &rows.dense());
        let mut trainer = open(&dataset, &ranks, value).unwrap();
        let progress = finish(&mut trainer).unwrap();
        (parameters(&trainer), progress)
    })
}

/// Largest difference between two sets of parameters.
pub fn difference(a: &Parameters, b: &Parameters) -> f32 {
    assert_eq!(a.keys().collect::<Vec<_>>(), b.keys().collect::<Vec<_>>());
    let of = |(x, y): (&Vec<f32>, &Vec<f32>)| {
        assert_eq!(x.len(), y.len());
        x.iter().zip(y).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max)
    };
    let differences: Vec<f32> = a.values().zip(b.values()).map(of).collect();
    assert!(differences.iter().all(|d| d.is_finite()));
    differences.into_iter().fold(0.0, f32::max)
}

/// A head over the reference's features: dropout, Adam, batches of 32.
pub fn head_spec() -> Value {
    json!({
        "program": {"head": {"inputs": 6, "outputs": 3, "hidden": [8], "activation": "relu", "dropout": 0.25}},
        "inputs": ["x"], "loss": "cross_entropy", "optimizer": {"name": "adam", "lr": 0.01},
        "batch_rows": 32, "epochs": 3, "seed": 11,
    })
}

/// Class labels of the reference.
pub fn class_rows(weighted: bool) -> Rows {
    rows(&reference().0["cases"][0]["labels"], weighted)
}

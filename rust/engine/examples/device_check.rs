//! What only a machine with a GPU can show: `device_check PACKAGE INPUT DEVICE [PRECISION [SECONDS]]`.
//!
//! It featurizes the files of a folder, or the texts of a JSON list, on the CPU and on DEVICE (`cuda:0`). It prints as JSON how the two
//! differ, how fast one task and several are, what memory they take, and what errors say. Each rate is measured for SECONDS (3). It fails if anything is wrong.
#![allow(clippy::print_stdout, reason = "a program")]

mod inputs;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{Field, Fields};
use flambeau_engine::{Counters, Device, EngineError, Model, ModelOptions, Request, Session, Task, WantedEngine, pool, registry};
use flambeau_torch_ext::process;
use serde_json::{Value, json};
use tch::{Kind, Tensor};

/// Tasks at a time, as far as there are cores.
const TASKS: [usize; 5] = [1, 2, 4, 8, 16];

/// What a task may keep on the device besides the model.
const WORKSPACES_BYTES: u64 = 70 << 20;

struct Check<'a> {
    package: &'a Path,
    rows: StructArray,
    /// Of one batch.
    batch_rows: usize,
    options: ModelOptions,
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [package, input, device, more @ ..] = arguments.as_slice() else {
        bail!("usage: device_check PACKAGE INPUT DEVICE [PRECISION [SECONDS]]");
    };
    let cores = std::thread::available_parallelism()?.get();
    process::set_intra_op_threads(1)?;
    process::tune_malloc();
    pool::configure(cores);
    let column = inputs::read(Path::new(input))?;
    let fields = Fields::from(vec![Field::new("content", column.data_type().clone(), true)]);
    let batch_rows = if Path::new(input).is_dir() { 32 } else { 1024 };
    let precision = serde_json::from_value(more.first().map_or("f32", String::as_str).into())?;
    let device: Device = device.parse().map_err(|wrong: String| anyhow!(wrong))?;
    let options = ModelOptions { precision, engine: WantedEngine::Torchscript, device, ..ModelOptions::plain() };
    let check = Check { package: Path::new(package), rows: StructArray::new(fields, vec![column], None), batch_rows, options };
    let seconds = more.get(1).map_or(Ok(3.0), |text| text.parse())?;
    let mut report = check.parity()?;
    merge(&mut report, check.sharing(cores)?);
    merge(&mut report, check.rates(cores, Duration::from_secs_f64(seconds))?);
    merge(&mut report, check.refusals()?);
    println!("{report:#}");
    Ok(())
}

fn merge(into: &mut Value, more: Value) {
    if let (Value::Object(into), Value::Object(more)) = (into, more) {
        into.extend(more);
    }
}

impl Check<'_> {
    fn open(&self, device: Device) -> Result<Arc<Model>, EngineError> {
        registry::open(self.package, &ModelOptions { device, ..self.options.clone() })
    }

    fn session(&self, model: &Arc<Model>) -> Result<Session, EngineError> {
        Session::new(model.clone(), self.rows.fields().clone(), Request::one(Task::Featurize, 0, true))
    }

    fn batches(&self) -> impl Iterator<Item = StructArray> {
        let rows = self.rows.len();
        (0..rows).step_by(self.batch_rows).map(move |first| self.rows.slice(first, self.batch_rows.min(rows - first)))
    }

    /// The features of all rows; `None` for a bad one.
    fn features(&self, model: &Arc<Model>) -> Result<Vec<Option<Vec<f32>>>> {
        let session = self.session(model)?;
        let mut all = Vec::new();
        for batch in self.batches() {
            let result = session.evaluate(&batch, &mut Counters::default())?;
            let lists: &ArrayRef = result.column(0);
            all.extend(lists.as_list::<i32>().iter().map(|row| row.map(|row| row.as_primitive::<Float32Type>().values().to_vec())));
        }
        Ok(all)
    }

    /// Features of the device beside those of the CPU, row by row.
    fn parity(&self) -> Result<Value> {
        let cpu = self.features(&self.open(Device::Cpu)?)?;
        let started = Instant::now();
        let model = self.open(self.options.device)?;
        let load_ms = started.elapsed().as_millis();
        ensure!(model.device() == self.options.device, "the model is on {}", model.device());
        let started = Instant::now();
        let there = self.features(&model)?;
        let first_pass_ms = started.elapsed().as_millis();
        let (mut least, mut largest) = (1.0_f64, 0.0_f32);
        for (row, (a, b)) in cpu.iter().zip(&there).enumerate() {
            let (Some(a), Some(b)) = (a, b) else {
                ensure!(a.is_none() && b.is_none(), "row {row} is NULL on one of the two");
                continue;
            };
            least = least.min(cosine(a, b));
            largest = a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(largest, f32::max);
        }
        ensure!(least > 0.999, "the least cosine of a row is {least}");
        Ok(json!({
            "package": self.package.file_name().and_then(|name| name.to_str()), "precision": self.options.precision.name(),
            "device": self.options.device.to_string(), "rows": cpu.len(), "bad_rows": cpu.iter().filter(|row| row.is_none()).count(),
            "least_cosine": least, "largest_difference": largest, "load_ms": load_ms, "first_rows_ms": first_pass_ms,
        }))
    }

    /// Several tasks at once have one copy of the weights, and the bits of one alone.
    fn sharing(&self, cores: usize) -> Result<Value> {
        let model = self.open(self.options.device)?;
        let alone = self.features(&model)?;
        let (before, _) = self.options.device.memory_bytes()?;
        let tasks = cores.min(8);
        std::thread::scope(|scope| -> Result<()> {
            let work = || -> Result<()> {
                let mine = self.features(&self.open(self.options.device)?)?;
                ensure!(mine == alone, "a task beside others has other bits than one alone");
                Ok(())
            };
            let tasks: Vec<_> = (0..tasks).map(|_| scope.spawn(work)).collect();
            tasks.into_iter().try_for_each(|task| task.join().map_err(|_| anyhow!("a task panicked"))?)
        })?;
        let (after, peak) = self.options.device.memory_bytes()?;
        // cuBLAS has workspaces for each task: 33 MiB on Hopper for each of two libraries.
        let growth = after.saturating_sub(before);
        ensure!(growth < (tasks as u64) * WORKSPACES_BYTES, "{tasks} tasks took {growth} bytes more");
        Ok(
            json!({ "weights_bytes": model.weights_bytes(), "tasks_with_equal_bits": tasks, "bytes_for_tasks": growth, "device_bytes": after, "device_peak_bytes": peak }),
        )
    }

    /// Rows a second, by the number of tasks at a time.
    fn rates(&self, cores: usize, time: Duration) -> Result<Value> {
        let model = self.open(self.options.device)?;
        let mut rates = serde_json::Map::new();
        for tasks in TASKS.into_iter().filter(|tasks| *tasks <= cores) {
            let (done, started) = (AtomicUsize::new(0), Instant::now());
            let totals = std::thread::scope(|scope| -> Result<Counters> {
                let work = || -> Result<Counters> {
                    let (session, mut counters) = (self.session(&model)?, Counters::default());
                    while started.elapsed() < time {
                        for batch in self.batches() {
                            session.evaluate(&batch, &mut counters)?;
                            done.fetch_add(batch.len(), Ordering::Relaxed);
                        }
                    }
                    Ok(counters)
                };
                let tasks: Vec<_> = (0..tasks).map(|_| scope.spawn(work)).collect();
                let mut sum = Counters::default();
                for task in tasks {
                    let counters = task.join().map_err(|_| anyhow!("a task panicked"))??;
                    sum.prepare_ns += counters.prepare_ns;
                    sum.forward_ns += counters.forward_ns;
                    sum.convert_ns += counters.convert_ns;
                }
                Ok(sum)
            })?;
            #[expect(clippy::cast_precision_loss, reason = "a rate")]
            let rate = done.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
            let shares = json!({ "prepare": totals.prepare_ns, "forward": totals.forward_ns, "convert": totals.convert_ns });
            rates.insert(tasks.to_string(), json!({ "rows_per_s": rate.round(), "ns": shares }));
        }
        Ok(json!({ "by_tasks": rates, "device_peak_bytes_of_rates": self.options.device.memory_bytes()?.1 }))
    }

    /// What happens if the device is absent, is full, or the task is killed; and that the next batch is right after it.
    fn refusals(&self) -> Result<Value> {
        let absent = self.open(Device::Cuda(99)).err().context("there is no device 99, but a model was loaded onto it")?;
        ensure!(absent.kind() == "device", "an absent device gave {absent:?}");
        let model = self.open(self.options.device)?;
        let session = self.session(&model)?;
        let all = || self.batches().next().context("no rows");
        let expected = session.evaluate(&all()?, &mut Counters::default())?;

        let mut asked = 0;
        let killed = session.evaluate_until(&all()?, &mut Counters::default(), &mut || {
            asked += 1;
            asked > 1
        });
        ensure!(matches!(killed, Err(EngineError::Canceled)) || asked <= 1, "a killed task gave {killed:?}");

        let filler = fill(self.options.device)?;
        let full = session.evaluate(&all()?, &mut Counters::default());
        drop(filler);
        let full = match full {
            Err(error) => {
                ensure!(error.kind() == "out_of_memory", "a full device gave {error:?}");
                error.to_string()
            }
            // All memory that it needs was cached from the passes before.
            Ok(_) => String::new(),
        };
        let again = session.evaluate(&all()?, &mut Counters::default())?;
        ensure!(again == expected, "after the errors, the same rows gave other bits");
        Ok(json!({ "absent": absent.to_string(), "full": full }))
    }
}

/// Takes the device's free memory, down to the last MiB.
fn fill(device: Device) -> Result<Vec<Tensor>> {
    let Device::Cuda(index) = device else { bail!("{device} is not a GPU") };
    let mut filler = Vec::new();
    let mut bytes = 1_i64 << 33;
    while bytes >= 1 << 20 {
        match Tensor::f_empty([bytes], (Kind::Uint8, tch::Device::Cuda(usize::from(index)))) {
            Ok(tensor) => filler.push(tensor),
            Err(_) => bytes /= 2,
        }
    }
    Ok(filler)
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
    let norms = (dot(a, a) * dot(b, b)).sqrt();
    if norms > 0.0 { dot(a, b) / norms } else { f64::from(u8::from(dot(a, a) == dot(b, b))) }
}

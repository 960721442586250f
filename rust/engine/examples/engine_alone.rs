//! The engine without Spark: `engine_alone PACKAGE INPUT [THREADS [BATCH_ROWS [PASSES [PRECISION [ROWS [ENGINE [DEVICE]]]]]]]` featurizes
//! every file of the folder INPUT, or every text of the JSON list INPUT. It uses THREADS (2) threads and batches of BATCH_ROWS
//! (32) rows, and prints engine, rows and rows/s of each pass as JSON. ROWS limits the input (0: all of it). ENGINE is auto and
//! DEVICE is cpu unless given. It is the baseline for measuring Spark's share of the time.
#![allow(clippy::print_stdout, reason = "a program")]

mod inputs;

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use anyhow::{Result, anyhow, bail};
use arrow_array::{Array, StructArray};
use arrow_schema::{Field, Fields};
use flambeau_engine::{Counters, ModelOptions, Request, Session, Task, allow_machine_code, pool, registry};
use flambeau_torch_ext::{Device, process};

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |i: usize, default: usize| arguments.get(i).map_or(Ok(default), |a| a.parse());
    let (Some(package), Some(input)) = (arguments.first(), arguments.get(1)) else {
        bail!("usage: engine_alone PACKAGE INPUT [THREADS [BATCH_ROWS [PASSES [PRECISION [ROWS [ENGINE [DEVICE]]]]]]]");
    };
    let (threads, batch_rows, passes) = (number(2, 2)?, number(3, 32)?, number(4, 3)?);
    process::set_intra_op_threads(1)?;
    process::tune_malloc();
    pool::configure(threads);
    let (column, limit) = (inputs::read(Path::new(input))?, number(6, 0)?);
    let column = if limit == 0 { column } else { column.slice(0, limit.min(column.len())) };
    let word = |i: usize, default: &str| arguments.get(i).map_or(default, String::as_str).to_owned();
    allow_machine_code(true);
    let (precision, engine) = (serde_json::from_value(word(5, "f32").into())?, serde_json::from_value(word(7, "auto").into())?);
    let device: Device = word(8, "cpu").parse().map_err(|wrong: String| anyhow!(wrong))?;
    let options = ModelOptions { precision, engine, device, ..ModelOptions::plain() };
    let model = registry::open(Path::new(package), &options)?;
    let fields = Fields::from(vec![Field::new("content", column.data_type().clone(), true)]);
    for pass in 0..passes {
        let started = Instant::now();
        let next = AtomicUsize::new(0);
        let totals = std::thread::scope(|scope| -> Result<Counters> {
            let work = || -> Result<Counters> {
                let session = Session::new(model.clone(), fields.clone(), Request::one(Task::Featurize, 0, false))?;
                let mut counters = Counters::default();
                loop {
                    let first = next.fetch_add(batch_rows, Ordering::Relaxed);
                    if first >= column.len() {
                        return Ok(counters);
                    }
                    let rows = column.slice(first, batch_rows.min(column.len() - first));
                    session.evaluate(&StructArray::new(fields.clone(), vec![rows], None), &mut counters)?;
                }
            };
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            let mut sum = Counters::default();
            for worker in workers {
                let counters = worker.join().map_err(|_| anyhow!("a thread panicked"))??;
                sum.rows += counters.rows;
                sum.prepare_ns += counters.prepare_ns;
                sum.forward_ns += counters.forward_ns;
                sum.convert_ns += counters.convert_ns;
            }
            Ok(sum)
        })?;
        let seconds = started.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "a rate")]
        let rate = totals.rows as f64 / seconds;
        println!(
            "{{\"pass\": {pass}, \"engine\": \"{}\", \"rows\": {}, \"rows_per_s\": {rate:.2}, \"prepare_ns\": {}, \"forward_ns\": {}, \"convert_ns\": {}}}",
            model.engine(),
            totals.rows,
            totals.prepare_ns,
            totals.forward_ns,
            totals.convert_ns
        );
    }
    Ok(())
}

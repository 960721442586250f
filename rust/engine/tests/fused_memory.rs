//! Ten thousand passes of the engine `fused` over passes of every size leave no memory behind. It is the only test of its binary,
//! since it reads the memory of the whole process.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::fs;
use std::sync::Arc;

use arrow_array::{Array, BinaryArray, StructArray};
use common::{batch, bitmap, package};
use flambeau_engine::{Counters, EngineName, ModelOptions, Request, Session, Task, WantedEngine, registry};

const WARM_PASSES: u64 = 2_000;
const PASSES: u64 = 10_000;
/// One input leaked by each pass would be 10 MB in 8,000 passes, the tensor alone without its numbers more than 2 MB.
const NOISE_BYTES: u64 = 1 << 20;

fn pictures(rows: u32) -> StructArray {
    batch(Arc::new(BinaryArray::from_iter_values((0..rows).map(|seed| bitmap(seed, 8, 8)))))
}

fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn ten_thousand_fused_passes_leave_no_memory_behind() {
    let model = registry::open(&package("convolves"), &ModelOptions { engine: WantedEngine::Fused, ..ModelOptions::plain() }).unwrap();
    assert_eq!(model.engine(), EngineName::Fused);
    let batches: Vec<StructArray> = (1..=7).map(pictures).collect();
    let session = Session::new(model, batches[0].fields().clone(), Request::one(Task::Featurize, 0, false)).unwrap();
    let mut counters = Counters::default();
    let mut run_until = |passes: u64| {
        for batch in batches.iter().cycle() {
            if counters.forwards >= passes {
                return;
            }
            assert_eq!(session.evaluate(batch, &mut counters).unwrap().len(), batch.len());
        }
    };
    run_until(WARM_PASSES);
    let warm = resident_bytes();
    run_until(PASSES);
    let grown = resident_bytes().saturating_sub(warm);
    println!("{WARM_PASSES} passes: {warm} bytes; {PASSES} passes: {grown} more");
    assert!(grown < NOISE_BYTES, "{grown} bytes more after {PASSES} passes than after {WARM_PASSES}");
}

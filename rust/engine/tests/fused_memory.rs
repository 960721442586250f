//! Ten thousand passes of the engine `fused` over passes of every size leave no memory behind. The only test of its program, for it
//! reads what the whole process holds.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, StructArray};
use arrow_schema::{Field, Fields};
use flambeau_engine::{Counters, EngineName, ModelOptions, Request, Session, Task, registry};

const WARM_PASSES: u64 = 2_000;
const PASSES: u64 = 10_000;
/// One input leaked by each pass would be 10 MB in 8,000 passes, the tensor alone without its numbers more than 2 MB.
const NOISE_BYTES: u64 = 1 << 20;

/// A bitmap of 24 bits, 8 by 8.
fn bitmap(seed: u8) -> Vec<u8> {
    let mut bytes = b"BM".to_vec();
    for n in [54 + 192_u32, 0, 54, 40, 8, 8] {
        bytes.extend(n.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    for n in [0_u32, 192, 0, 0, 0, 0] {
        bytes.extend(n.to_le_bytes());
    }
    bytes.extend((0..192_u8).map(|i| i.wrapping_mul(seed * 2 + 1)));
    bytes
}

fn batch(rows: u8) -> StructArray {
    let column: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..rows).map(bitmap)));
    StructArray::new(Fields::from(vec![Field::new("x", column.data_type().clone(), true)]), vec![column], None)
}

fn resident_bytes() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap();
    pages.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

#[test]
fn ten_thousand_fused_passes_leave_no_memory_behind() {
    let package = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../build/test-packages/convolves");
    assert!(package.is_dir(), "{} is missing: run ./gradlew testModels", package.display());
    let model = registry::open(&package, &ModelOptions { engine: Some("fused".into()), ..ModelOptions::default() }).unwrap();
    assert_eq!(model.engine(), EngineName::Fused);
    let batches: Vec<StructArray> = (1..=7).map(batch).collect();
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

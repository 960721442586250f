//! The overhead of a session, measured with a model that does nothing: `cargo bench -p flambeau-engine`, after `./gradlew
//! testModels`. Staging, one or more forward passes of an empty program, and the column that the JVM gets. CONTRIBUTING.md says
//! how to compare two states of the code.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a program for people who measure")]

use std::hint::black_box;
use std::time::Duration;

use arrow_array::Array;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flambeau_engine::{Counters, Request, Task};
use flambeau_torch_ext::process;

#[path = "../tests/common/mod.rs"]
mod common;

fn evaluate(criterion: &mut Criterion) {
    process::set_intra_op_threads(1).expect("one thread");
    let mut group = criterion.benchmark_group("evaluate 16 numbers");
    for rows in [1_usize, 4096] {
        let column = common::floats((0..rows).map(|i| Some(vec![i as f32; 16])).collect());
        let session = common::session("noop", &column, Request::one(Task::Featurize, 0, false)).expect("a session");
        let batch = common::batch(column);
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(format!("rows {rows}"), |bencher| {
            bencher.iter(|| {
                let mut counters = Counters::default();
                let result = session.evaluate(black_box(&batch), &mut counters).expect("features");
                assert_eq!(result.len(), rows);
            });
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = evaluate
}
criterion_main!(benches);

//! A task that is killed while a forward pass runs ends after that pass, with every engine. It is the only test of its binary, since
//! it reads the counters of the whole process.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use arrow_array::{ArrayRef, BinaryArray, StringArray};
use common::{batch, bitmap, repository};
use flambeau_engine::{Counters, ModelOptions, Request, Session, Task, WantedEngine, pool, registry, stats};

/// Passes before the kill: by then the program is compiled and passes have their size.
const PASSES_BEFORE: u64 = 6;

/// Sets the flag after some passes, while the task continues; returns the passes that had ended once it was set.
fn kill_after_some_passes(before: u64, killed: &AtomicBool) -> u64 {
    while stats::FORWARDS.get() < before + PASSES_BEFORE && !killed.load(Ordering::SeqCst) {
        thread::yield_now();
    }
    killed.store(true, Ordering::SeqCst);
    stats::FORWARDS.get()
}

#[test]
fn a_killed_task_ends_after_the_pass_that_runs() {
    pool::configure(1); // without spare cores passes run one after another
    let pictures: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..400).map(|seed| bitmap(seed, 96, 80))));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..2000).map(|i| "many words, ".repeat(1 + i % 20))));
    for (name, column) in [("efficientnet_lite0", pictures), ("minilm_l6_v2", texts)] {
        for engine in [WantedEngine::Torchscript, WantedEngine::Fused] {
            let model = registry::open(&repository().join("build/models").join(name), &ModelOptions { engine, ..ModelOptions::plain() });
            let rows = batch(column.clone());
            let session = Session::new(model.unwrap(), rows.fields().clone(), Request::one(Task::Featurize, 0, false)).unwrap();
            let (before, killed) = (stats::FORWARDS.get(), AtomicBool::new(false));
            let (error, at_kill) = thread::scope(|scope| {
                let killer = scope.spawn(|| kill_after_some_passes(before, &killed));
                let result = session.evaluate_until(&rows, &mut Counters::default(), &mut || killed.load(Ordering::SeqCst));
                killed.store(true, Ordering::SeqCst); // should it have ended by itself
                (result.unwrap_err(), killer.join().unwrap())
            });
            assert_eq!(error.kind(), "canceled", "{name}, {engine:?}: {error}");
            let after = stats::FORWARDS.get() - at_kill;
            assert!(after <= 1, "{name}, {engine:?}: {after} passes ended after the kill");
        }
    }
}

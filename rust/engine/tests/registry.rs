//! Which models stay in memory. A test binary of its own: the registry is one for the process.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;

use common::package;
use flambeau_engine::{Model, ModelOptions, registry, stats};

fn open(name: &str) -> Arc<Model> {
    registry::open(&package(name), &ModelOptions::plain()).unwrap()
}

#[test]
fn idle_models_stay_within_their_bound_and_held_ones_stay() {
    // Room for two: each counts 16 MiB in addition to its weights.
    registry::configure(40 << 20);
    let held = open("tiny");
    for name in ["noop", "raises", "allocates", "wrong_shape", "image_tiny"] {
        drop(open(name));
    }
    assert_eq!(registry::in_memory(), 4, "the one held, two idle ones, and the one that was opened last");
    assert_eq!(stats::MODELS_EVICTED.get(), 2);

    let loads = stats::MODEL_LOADS.get();
    for name in ["image_tiny", "wrong_shape", "allocates"] {
        drop(open(name));
    }
    assert_eq!(stats::MODEL_LOADS.get(), loads, "the last used are still there");
    drop(open("noop"));
    assert_eq!(stats::MODEL_LOADS.get(), loads + 1, "the least recently used was not");

    registry::configure(0);
    drop(open("raises"));
    assert_eq!(registry::in_memory(), 2, "the one held, and the one that was opened last");
    assert!(Arc::ptr_eq(&held, &open("tiny")));
}

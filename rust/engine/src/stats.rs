//! Counters of the whole process since it started; for tests and monitoring.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// Rows that went through a forward pass.
pub static ROWS_FORWARDED: Counter = Counter::new();
/// Forward passes.
pub static FORWARDS: Counter = Counter::new();
/// Programs loaded from their files.
pub static MODEL_LOADS: Counter = Counter::new();
/// Models dropped from memory because no session held them.
pub static MODELS_EVICTED: Counter = Counter::new();

/// A number that only grows.
pub struct Counter(AtomicU64);

impl Counter {
    const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn add(&self, n: usize) {
        self.0.fetch_add(n as u64, Ordering::Relaxed);
    }

    /// Its value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All of them, and what is in memory now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[expect(missing_docs, reason = "see the counters")]
pub struct Totals {
    pub rows_forwarded: u64,
    pub forwards: u64,
    pub model_loads: u64,
    pub models_in_memory: u64,
    pub models_evicted: u64,
    /// Of the models in memory.
    pub weights_bytes: u64,
    /// What the JVM holds.
    pub live_handles: u64,
}

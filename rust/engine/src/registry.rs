//! Models in memory: one copy of the weights per process and device, whatever the number of tasks.
//!
//! A model is known by its content (hash of `model.toml`) and the settings that choose its variant. Tasks that open the same
//! model at once wait for one load; different models load in parallel. A failed load is not cached.
//!
//! Models that no session holds stay for the next task or query, within a bound: when another model is loaded, those that were
//! not used for ten minutes are dropped. After them go the least recently used ones, until the rest has no more bytes than
//! [`configure`] allows.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use once_cell::sync::{Lazy, OnceCell};

use flambeau_torch_ext::{Device, process};

use crate::package::Precision;
use crate::stats::{self, Totals};
use crate::{EngineError, Model, ModelOptions, Package, WantedEngine};

const IDLE: Duration = Duration::from_secs(600);

/// Memory of a model besides its weights: its code and graph, tables, a tokenizer.
const OVERHEAD_BYTES: u64 = 16 << 20;

/// Maximum bytes of models that no session holds.
static IDLE_BYTES: AtomicU64 = AtomicU64::new(0);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    hash: String,
    precision: Precision,
    min_cosine_bits: u64,
    engine: WantedEngine,
    device: Device,
}

struct Slot {
    cell: Arc<OnceCell<Arc<Model>>>,
    used: Instant,
}

// A process-wide singleton, since there is one copy per process; it grows with models in use and shrinks when they are idle.
static MODELS: Lazy<Mutex<HashMap<Key, Slot>>> = Lazy::new(Mutex::default);

/// Sets how many bytes of models that no session holds stay in memory. A model counts its weights and 16 MiB.
pub fn configure(idle_bytes: u64) {
    IDLE_BYTES.store(idle_bytes, Ordering::Relaxed);
}

/// The model of this package, loaded if it is not in memory.
///
/// # Errors
/// A package that cannot be read, is not the one that the query was planned with, or does not load.
pub fn open(directory: &Path, options: &ModelOptions) -> Result<Arc<Model>, EngineError> {
    let key = |hash: &str| Key {
        hash: hash.to_owned(),
        precision: options.precision,
        min_cosine_bits: options.min_cosine.to_bits(),
        engine: options.engine,
        device: options.device,
    };
    // The planned content is in memory: no need to read and hash the folder again for every task.
    if let Some(planned) = &options.hash
        && let Some(model) = loaded(&key(planned))
    {
        return Ok(model);
    }
    let package = Package::open(directory)?;
    if let Some(planned) = &options.hash
        && *planned != package.hash
    {
        let cause = "model.toml changed since the query was planned, or differs between machines; run the query again";
        return Err(EngineError::model(&package.descriptor.name, cause));
    }
    let cell = slot(key(&package.hash));
    cell.get_or_try_init(|| Model::load(package, options).map(Arc::new)).cloned()
}

/// How many models are in memory.
#[must_use]
pub fn in_memory() -> usize {
    models().values().filter(|slot| slot.cell.get().is_some()).count()
}

/// Bytes of weights in memory.
#[must_use]
pub fn weights_bytes() -> u64 {
    models().values().filter_map(|slot| slot.cell.get()).map(|model| model.weights_bytes()).sum()
}

/// The counters of the process and the models in memory now; the caller adds the number of its handles.
#[must_use]
pub fn totals(live_handles: u64) -> Totals {
    Totals {
        rows_forwarded: stats::ROWS_FORWARDED.get(),
        forwards: stats::FORWARDS.get(),
        model_loads: stats::MODEL_LOADS.get(),
        models_in_memory: in_memory() as u64,
        models_evicted: stats::MODELS_EVICTED.get(),
        weights_bytes: weights_bytes(),
        live_handles,
    }
}

fn loaded(key: &Key) -> Option<Arc<Model>> {
    let mut models = models();
    let slot = models.get_mut(key)?;
    slot.used = Instant::now();
    slot.cell.get().cloned()
}

fn slot(key: Key) -> Arc<OnceCell<Arc<Model>>> {
    let mut models = models();
    let now = Instant::now();
    let dropped = evict(&mut models, &key, now, IDLE_BYTES.load(Ordering::Relaxed));
    let slot = models.entry(key).or_insert_with(|| Slot { cell: Arc::default(), used: now });
    slot.used = now;
    let cell = slot.cell.clone();
    // Weights are freed without the lock.
    drop(models);
    if !dropped.is_empty() {
        for model in &dropped {
            log::info!("model '{}' ({} bytes of weights) is removed from memory: no task uses it", model.name(), model.weights_bytes());
        }
        stats::MODELS_EVICTED.add(dropped.len());
        drop(dropped);
        process::trim_memory();
    }
    cell
}

/// Removes models that have been idle too long, then the least recently used idle ones, until the rest fits `idle_bytes`.
fn evict(models: &mut HashMap<Key, Slot>, wanted: &Key, now: Instant, idle_bytes: u64) -> Vec<Arc<Model>> {
    let is_idle = |slot: &Slot| Arc::strong_count(&slot.cell) == 1 && slot.cell.get().is_none_or(|model| Arc::strong_count(model) == 1);
    let mut idle: Vec<(Instant, Key, u64)> = models
        .iter()
        .filter(|(key, slot)| *key != wanted && is_idle(slot))
        .map(|(key, slot)| (slot.used, key.clone(), slot.cell.get().map_or(0, |model| model.weights_bytes() + OVERHEAD_BYTES)))
        .collect();
    idle.sort_by_key(|(used, ..)| std::cmp::Reverse(*used));
    let mut kept_bytes = 0;
    let mut dropped = Vec::new();
    for (used, key, bytes) in idle {
        kept_bytes += bytes;
        if (now.duration_since(used) >= IDLE || kept_bytes > idle_bytes)
            && let Some(slot) = models.remove(&key)
        {
            dropped.extend(slot.cell.get().cloned());
        }
    }
    dropped
}

/// A panic while the map was locked cannot leave it half changed: every change is one call.
fn models() -> MutexGuard<'static, HashMap<Key, Slot>> {
    MODELS.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Models in memory: one copy of the weights per process, whatever the number of tasks.
//!
//! A model is known by its content (hash of `model.toml`) and the settings that choose its variant. Tasks that ask for the
//! same model at once wait for one load; different models load side by side. A failed load is not remembered. A model that
//! no session has used for ten minutes is dropped when another one is opened.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use once_cell::sync::{Lazy, OnceCell};

use crate::{EngineError, Model, ModelOptions, Package};

const IDLE: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    hash: String,
    precision: String,
    min_cosine_bits: u64,
}

struct Slot {
    cell: Arc<OnceCell<Arc<Model>>>,
    used: Instant,
}

// A process-wide singleton because "one copy per process" is the promise; it grows by models in use and shrinks when idle.
static MODELS: Lazy<Mutex<HashMap<Key, Slot>>> = Lazy::new(Mutex::default);

/// The model of this package, loaded if it is not in memory.
///
/// # Errors
/// A package that cannot be read, is not the one that the query was planned with, or does not load.
pub fn open(directory: &Path, options: &ModelOptions) -> Result<Arc<Model>, EngineError> {
    let key = |hash: &str| -> Result<Key, EngineError> {
        Ok(Key { hash: hash.to_owned(), precision: options.precision().to_owned(), min_cosine_bits: options.min_cosine()?.to_bits() })
    };
    // The planned content is in memory: no need to read and hash the folder again for every task.
    if let Some(planned) = &options.hash
        && let Some(model) = loaded(&key(planned)?)
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
    let cell = slot(key(&package.hash)?);
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

fn loaded(key: &Key) -> Option<Arc<Model>> {
    let mut models = models();
    let slot = models.get_mut(key)?;
    slot.used = Instant::now();
    slot.cell.get().cloned()
}

fn slot(key: Key) -> Arc<OnceCell<Arc<Model>>> {
    let mut models = models();
    let now = Instant::now();
    models.retain(|other, slot| {
        let in_use = Arc::strong_count(&slot.cell) > 1 || slot.cell.get().is_none_or(|model| Arc::strong_count(model) > 1);
        *other == key || in_use || now.duration_since(slot.used) < IDLE
    });
    let slot = models.entry(key).or_insert_with(|| Slot { cell: Arc::default(), used: now });
    slot.used = now;
    slot.cell.clone()
}

/// A panic while the map was held cannot leave it half changed: every change is one call.
fn models() -> MutexGuard<'static, HashMap<Key, Slot>> {
    MODELS.lock().unwrap_or_else(PoisonError::into_inner)
}

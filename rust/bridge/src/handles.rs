//! What the JVM holds as a number. A number is never used twice, so a stale one is an error of its call and nothing more.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flambeau_engine::{Model, Session};
use once_cell::sync::Lazy;

use crate::failure::Failure;

#[derive(Clone)]
enum Held {
    Model(Arc<Model>),
    Session(Arc<Session>),
}

#[derive(Default)]
struct Table {
    last: i64,
    held: HashMap<i64, Held>,
}

// Process-wide, since handles are numbers that any thread of the JVM may bring back; bounded by what the JVM keeps open.
static TABLE: Lazy<Mutex<Table>> = Lazy::new(Mutex::default);

fn table() -> MutexGuard<'static, Table> {
    TABLE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn add(held: Held) -> i64 {
    let mut table = table();
    table.last += 1;
    let handle = table.last;
    table.held.insert(handle, held);
    handle
}

pub(crate) fn add_model(model: Arc<Model>) -> i64 {
    add(Held::Model(model))
}

pub(crate) fn add_session(session: Session) -> i64 {
    add(Held::Session(Arc::new(session)))
}

pub(crate) fn model(handle: i64) -> Result<Arc<Model>, Failure> {
    match table().held.get(&handle) {
        Some(Held::Model(model)) => Ok(model.clone()),
        _ => Err(Failure::StaleHandle(handle, "model")),
    }
}

pub(crate) fn session(handle: i64) -> Result<Arc<Session>, Failure> {
    match table().held.get(&handle) {
        Some(Held::Session(session)) => Ok(session.clone()),
        _ => Err(Failure::StaleHandle(handle, "session")),
    }
}

/// Forgets a handle; its object goes when the last call that uses it returns. Unknown handles are left alone.
pub(crate) fn close(handle: i64) {
    // Dropped after the lock is released: freeing a model takes a while.
    let _held = table().held.remove(&handle);
}

pub(crate) fn live() -> usize {
    table().held.len()
}

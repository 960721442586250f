//! Objects that the JVM refers to by a number. A number is never reused, so a closed one is only an error of its call.

use std::collections::HashMap;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flambeau_engine::nearest::Nearest;
use flambeau_engine::{Model, Session};
use flambeau_train::{ProcessGroup, TrainingDataset, TrainingLoop};
use once_cell::sync::Lazy;

use crate::failure::Failure;

/// Trainers: locked by the thread that uses them, and stopped without the lock.
pub(crate) struct HeldTrainers {
    training: Mutex<TrainingLoop>,
    pub(crate) canceled: Arc<AtomicBool>,
}

impl HeldTrainers {
    pub(crate) fn lock(&self) -> MutexGuard<'_, TrainingLoop> {
        locked(&self.training)
    }
}

#[derive(Clone)]
enum Held {
    Model(Arc<Model>),
    Session(Arc<Session>),
    Dataset(Arc<TrainingDataset>),
    Group(Arc<ProcessGroup>),
    Trainers(Arc<HeldTrainers>),
    Nearest(Arc<Mutex<Nearest>>),
}

#[derive(Default)]
struct Table {
    last: i64,
    held: HashMap<i64, Held>,
}

// Process-wide, since any thread of the JVM may use a handle; its size is the number of handles that the JVM has open.
static TABLE: Lazy<Mutex<Table>> = Lazy::new(Mutex::default);

fn table() -> MutexGuard<'static, Table> {
    locked(&TABLE)
}

fn add(held: Held) -> i64 {
    let mut table = table();
    table.last += 1;
    let handle = table.last;
    table.held.insert(handle, held);
    handle
}

macro_rules! kinds {
    ($($variant:ident($type:ty): $get:ident, $name:literal;)*) => { $(
        pub(crate) fn $get(handle: i64) -> Result<$type, Failure> {
            match table().held.get(&handle) {
                Some(Held::$variant(held)) => Ok(held.clone()),
                _ => Err(Failure::StaleHandle(handle, $name)),
            }
        }
    )* };
}

kinds! {
    Model(Arc<Model>): model, "model";
    Session(Arc<Session>): session, "session";
    Dataset(Arc<TrainingDataset>): dataset, "dataset";
    Group(Arc<ProcessGroup>): group, "group";
    Trainers(Arc<HeldTrainers>): trainers, "trainer";
    Nearest(Arc<Mutex<Nearest>>): nearest, "search";
}

pub(crate) fn add_model(model: Arc<Model>) -> i64 {
    add(Held::Model(model))
}

pub(crate) fn add_session(session: Session) -> i64 {
    add(Held::Session(Arc::new(session)))
}

pub(crate) fn add_dataset(dataset: TrainingDataset) -> i64 {
    add(Held::Dataset(Arc::new(dataset)))
}

pub(crate) fn add_group(group: ProcessGroup) -> i64 {
    add(Held::Group(Arc::new(group)))
}

pub(crate) fn add_trainers(training: TrainingLoop, canceled: Arc<AtomicBool>) -> i64 {
    add(Held::Trainers(Arc::new(HeldTrainers { training: Mutex::new(training), canceled })))
}

pub(crate) fn add_nearest(search: Nearest) -> i64 {
    add(Held::Nearest(Arc::new(Mutex::new(search))))
}

/// Waits until no other thread uses it.
pub(crate) fn locked<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Removes a handle; its object is dropped when the last call that uses it returns. Unknown handles are ignored.
pub(crate) fn close(handle: i64) {
    // Dropped after the lock is released: freeing a model takes a while.
    let _held = table().held.remove(&handle);
}

pub(crate) fn live() -> usize {
    table().held.len()
}

//! Which of a worker's rows are trained on, in which batches, and which validate. Trainings of a stack share it.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use super::feed::{MAX_SLOTS, Sealed};
use super::order::{Order, Part, Tail, by_slot};
use super::ranks::Ranks;
use super::spec::TrainingSpec;
use crate::EngineError;

/// See the module.
pub(super) struct Deal {
    // Locked by the task's thread alone; a lock since trainers may move between threads.
    order: Mutex<Order>,
    /// Batches of an epoch.
    pub(super) batches: usize,
    /// Training rows of all workers.
    pub(super) total: u64,
    pub(super) validation: Vec<u32>,
    /// Of any worker.
    pub(super) has_validation: bool,
    /// Training rows of this worker.
    pub(super) own_rows: usize,
}

impl Deal {
    /// Counts rows over all workers: they come here at the same time. `normalises`: whether a program has batch normalisation.
    pub(super) fn new(
        feed: &Sealed,
        ranks: &Ranks,
        spec: &TrainingSpec,
        normalises: bool,
        cancelled: &AtomicBool,
    ) -> Result<Self, EngineError> {
        let rows = &feed.rows;
        let own_slots = || u32::try_from(spec.batch_rows.min(rows.len()).max(1)).unwrap_or(u32::MAX).min(MAX_SLOTS);
        let slots = if rows.slots.is_some() { feed.slots } else { own_slots() };
        if rows.slots.is_none() && ranks.world > 1 {
            return Err(EngineError::BadRequest("several workers need the column __slot".into()));
        }
        let training = (0..rows.len()).filter(|row| !rows.is_validation(*row));
        let slot = |row: usize| rows.slots.as_ref().map_or((row % slots as usize) as u32, |s| s[row]);
        let own = by_slot(slots, training.map(|row| (row as u32, slot(row), rows.id(row))));
        let validation: Vec<u32> = (0..rows.len()).filter(|row| rows.is_validation(*row)).map(|row| row as u32).collect();
        let mut counts: Vec<f64> = own.iter().map(|rows| rows.len() as f64).collect();
        counts.push(validation.len() as f64);
        ranks.sum_numbers(&mut counts, "counting rows", cancelled)?;
        let has_validation = counts.pop().unwrap_or(0.0) > 0.0;
        let counts: Vec<u64> = counts.into_iter().map(|n| n as u64).collect();
        let own_rows = own.iter().map(Vec::len).sum();
        let tail = match (spec.drop_last, normalises) {
            (true, _) => Tail::Dropped,
            (_, true) => Tail::Joined,
            _ => Tail::Kept,
        };
        let order = Order::new(spec.seed, spec.batch_rows, tail, own, &counts);
        let (batches, total) = (order.batches(), order.total());
        if total > 0 && batches == 0 {
            let text = format!("dropLast leaves no row: there are {total} to train on, batchSize is {}; lower it", spec.batch_rows);
            return Err(EngineError::BadRequest(text));
        }
        Ok(Self { order: Mutex::new(order), batches, total, validation, has_validation, own_rows })
    }

    /// This worker's part of a batch.
    pub(super) fn part(&self, epoch: usize, batch: usize) -> Part {
        self.order.lock().unwrap_or_else(PoisonError::into_inner).part(epoch, batch)
    }
}

//! Which of a worker's rows are trained on, in which batches, and which validate. Trainings that step together share it.

use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, PoisonError};

use flambeau_engine::EngineError;

use super::dataset::{Labels, MAX_SHARDS, MappedDataset};
use super::loss::Loss;
use super::process_group::ProcessGroup;
use super::sampler::{LocalBatch, Sampler, Tail, by_shard};
use super::spec::TrainingSpec;

/// See the module.
pub(super) struct DataSplit {
    // Locked by the task's thread alone; a lock since trainers may move between threads.
    sampler: Mutex<Sampler>,
    /// Batches of an epoch.
    pub(super) batches: usize,
    /// Training rows of all workers.
    pub(super) total: u64,
    pub(super) validation: Vec<u32>,
    /// Of any worker.
    pub(super) has_validation: bool,
    /// Training rows of this worker.
    pub(super) own_rows: usize,
    /// Of all workers.
    pub(super) totals: Totals,
}

/// Sums over the rows of all workers, which do not depend on the order of the rows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Totals {
    pub(super) validation_rows: f64,
    /// Weights of training rows, with those of their classes.
    pub(super) weight: f64,
    pub(super) validation_weight: f64,
    /// Distances of all labels from [`LABEL_ORIGIN`]: other labels have another sum.
    pub(super) labels: f64,
}

/// No label is likely to be here, or symmetrical to another about this point.
const LABEL_ORIGIN: f64 = -0.618_033_988_749_894_9;

impl DataSplit {
    /// Counts rows over all workers: they come here at the same time. `normalizes`: whether a program has batch normalization.
    ///
    /// # Errors
    /// Rows that all have weight 0, or too few for a batch; a peer that is gone.
    pub(super) fn new(
        dataset: &MappedDataset,
        ranks: &ProcessGroup,
        spec: &TrainingSpec,
        loss: &Loss,
        normalizes: bool,
        canceled: &AtomicBool,
    ) -> Result<Self, EngineError> {
        let rows = &dataset.rows;
        let own_shards = || u32::try_from(spec.batch_rows.min(rows.len()).max(1)).unwrap_or(u32::MAX).min(MAX_SHARDS);
        let shards = if rows.shards.is_some() { dataset.shards } else { own_shards() };
        if rows.shards.is_none() && ranks.world > 1 {
            return Err(EngineError::BadRequest("several workers need the column __shard".into()));
        }
        let training = (0..rows.len()).filter(|row| !rows.is_validation(*row));
        let shard = |row: usize| rows.shards.as_ref().map_or((row % shards as usize) as u32, |s| s[row]);
        let own = by_shard(shards, training.map(|row| (row as u32, shard(row), rows.id(row))));
        let validation: Vec<u32> = (0..rows.len()).filter(|row| rows.is_validation(*row)).map(|row| row as u32).collect();
        let mut counts: Vec<f64> = own.iter().map(|rows| rows.len() as f64).collect();
        let of = Totals::of(dataset, loss, &own, &validation);
        counts.extend([of.validation_rows, of.weight, of.validation_weight, of.labels]);
        ranks.sum_numbers(&mut counts, "counting rows", canceled)?;
        let sums = counts.split_off(own.len());
        let totals = Totals { validation_rows: sums[0], weight: sums[1], validation_weight: sums[2], labels: sums[3] };
        let has_validation = totals.validation_rows > 0.0;
        let counts: Vec<u64> = counts.into_iter().map(|n| n as u64).collect();
        let own_rows = own.iter().map(Vec::len).sum();
        let tail = match (spec.drop_last, normalizes) {
            (true, _) => Tail::Dropped,
            (_, true) => Tail::Joined,
            _ => Tail::Kept,
        };
        let sampler = Sampler::new(spec.seed, spec.batch_rows, tail, own, &counts);
        let (batches, total) = (sampler.batches().min(spec.steps_per_epoch.unwrap_or(usize::MAX)), sampler.total());
        if total > 0 && batches == 0 {
            let text = format!(
                "dropLast leaves no row: there are {total} rows to train on, and batchSize is {}; lower batchSize",
                spec.batch_rows
            );
            return Err(EngineError::BadRequest(text));
        }
        totals.check(total)?;
        Ok(Self { sampler: Mutex::new(sampler), batches, total, validation, has_validation, own_rows, totals })
    }

    /// This worker's part of a batch.
    pub(super) fn part(&self, epoch: usize, batch: usize) -> LocalBatch {
        self.sampler.lock().unwrap_or_else(PoisonError::into_inner).part(epoch, batch)
    }
}

impl Totals {
    /// Of this worker's rows.
    fn of(dataset: &MappedDataset, loss: &Loss, training: &[Vec<u32>], validation: &[u32]) -> Self {
        let rows = &dataset.rows;
        let weight = |row: &u32| loss.row_weight(&rows.labels, rows.weights.as_deref(), *row);
        let distance = |label: f64| (label - LABEL_ORIGIN).abs();
        let labels = match &rows.labels {
            Labels::Scalars(values) => values.iter().map(|label| distance(*label)).sum(),
            Labels::Arrays(dense) => (0..dense.len()).flat_map(|row| dense.numbers(row)).map(distance).sum(),
        };
        Self {
            validation_rows: validation.len() as f64,
            weight: training.iter().flatten().map(weight).sum(),
            validation_weight: validation.iter().map(weight).sum(),
            labels,
        }
    }

    fn check(&self, training_rows: u64) -> Result<(), EngineError> {
        if training_rows > 0 && self.weight <= 0.0 {
            return Err(EngineError::BadRequest(format!(
                "all {training_rows} training rows have weight 0, so there is nothing to learn from: check weightCol and classWeights"
            )));
        }
        if self.validation_rows > 0.0 && self.validation_weight <= 0.0 {
            return Err(EngineError::BadRequest(format!(
                "all {} validation rows have weight 0, so epochs cannot be compared: check weightCol, classWeights and validationIndicatorCol",
                self.validation_rows
            )));
        }
        Ok(())
    }
}

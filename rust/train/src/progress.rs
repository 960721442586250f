//! What a training tells of itself while it runs.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A finished epoch. Losses are weighted means, over the rows of all workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct EpochRow {
    pub epoch: usize,
    /// None if no row had any weight.
    pub train_loss: Option<f64>,
    /// None if there are no validation rows.
    pub validation_loss: Option<f64>,
    pub metrics: BTreeMap<String, f64>,
    /// Of the last step.
    pub lr: f64,
    /// Rows trained on, by all workers.
    pub samples: u64,
    pub seconds: f64,
    /// The part of `seconds` in which this worker's steps waited for their rows.
    #[serde(default)]
    pub waited_seconds: f64,
}

/// Why `run` returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Its time was up.
    Running,
    /// An epoch ended.
    Epoch,
    /// A checkpoint is due (also if an epoch ended at the same time).
    Checkpoint,
    /// All epochs are done.
    Done,
    /// Validation has not improved for long enough, or the caller stopped it.
    StoppedEarly,
}

/// The state of a training.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Progress {
    /// Of the next step.
    pub epoch: usize,
    pub epochs: usize,
    /// Steps made in all.
    pub step: u64,
    pub steps_per_epoch: usize,
    /// Mean over this epoch so far, or over the last one.
    pub loss: Option<f64>,
    /// Of the last step.
    pub lr: f64,
    /// Of all workers, in this epoch.
    pub samples_per_second: f64,
    pub event: Event,
    /// Whether an epoch ended just now.
    pub epoch_ended: bool,
    /// The epochs that ended since the last report; after a restored checkpoint also all that it has.
    pub ended: Vec<EpochRow>,
}

//! The specification of a head for each group of rows, which the JVM sends as JSON like that of a training.

use flambeau_media::image::{Decode, ImageLimits};
use serde::Deserialize;

use super::spec::{HeadSpec, LossKind, MetricName, OptimizerSpec, Precision, ProgramSpec, ScheduleSpec, TrainingSpec, ValidationSpec};

/// The training of all groups; the keys have the same meaning as in a [`TrainingSpec`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see TrainingSpec")]
pub struct GroupsSpec {
    /// Without dropout.
    pub head: HeadSpec,
    /// A dense column of the dataset.
    pub input: String,
    pub loss: LossKind,
    pub class_weights: Option<Vec<f64>>,
    pub label_smoothing: f64,
    pub huber_delta: f64,
    pub optimizer: OptimizerSpec,
    pub schedule: ScheduleSpec,
    /// Rows of a group's batch. None: all of its rows.
    pub batch_rows: Option<usize>,
    pub epochs: usize,
    pub seed: u64,
    pub memory_bytes: Option<u64>,
}

impl GroupsSpec {
    /// Groups have neither images nor validation rows.
    pub(super) fn as_training(&self) -> TrainingSpec {
        TrainingSpec {
            program: ProgramSpec::of_head(self.head.clone()),
            inputs: vec![self.input.clone()],
            pair_inputs: Vec::new(),
            loss: self.loss,
            class_weights: self.class_weights.clone(),
            label_smoothing: self.label_smoothing,
            huber_delta: self.huber_delta,
            temperature: 1.0,
            optimizer: self.optimizer.clone(),
            schedule: self.schedule.clone(),
            clip_norm: None,
            ema_decay: None,
            batch_rows: self.batch_rows.unwrap_or(1),
            micro_batch_rows: None,
            epochs: self.epochs,
            steps_per_epoch: None,
            drop_last: false,
            memory_bytes: self.memory_bytes,
            images: ImageLimits { max_pixels: 0, decode: Decode::Exact },
            seed: self.seed,
            precision: Precision::F32,
            augment: None,
            validation: ValidationSpec { metric: MetricName::Loss, patience: None, min_delta: 0.0, restore_best: false },
            checkpoint_steps: None,
            checkpoint_epochs: None,
        }
    }

    /// Rows of a batch, for a group with this many rows.
    pub(super) fn batch(&self, rows: usize) -> usize {
        self.batch_rows.unwrap_or(rows).min(rows).max(1)
    }
}

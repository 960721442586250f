//! The learning rate of every step, as PyTorch's schedulers give it.
//!
//! `step` is `StepLR` over epochs. `linear` is `LinearLR` down to zero after the last step. `cosine` is `CosineAnnealingLR` down to
//! zero at the last step. `one_cycle` is `OneCycleLR` with its defaults (30 % up from 1/25 of the rate, cosine, down to 1/250,000)
//! and unchanged momentum. `plateau` is `ReduceLROnPlateau` (`threshold_mode="abs"`): it notes every epoch as it ends, and all of a
//! checkpoint's history. A warm-up of n steps comes first: step i of it has (i + 1) / n of the rate, and the shape begins after it.

use std::f64::consts::PI;

use super::progress::EpochRow;
use super::spec::{MetricName, ScheduleName, ScheduleSpec, ValidationSpec};

const ONE_CYCLE_UP: f64 = 0.3;
const ONE_CYCLE_START: f64 = 25.0;
const ONE_CYCLE_END: f64 = 1e4;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    spec: ScheduleSpec,
    lr: f64,
    steps_per_epoch: u64,
    steps: u64,
    plateau: Plateau,
}

/// What the schedule `plateau` remembers: the best cost, the epochs since, and how often it has lowered the rate.
#[derive(Debug, Clone, Copy)]
struct Plateau {
    best: f64,
    waited: u64,
    falls: i32,
}

impl Plateau {
    const NEW: Self = Self { best: f64::INFINITY, waited: 0, falls: 0 };
}

impl Schedule {
    /// For a training with this many epochs.
    pub(super) fn new(spec: &ScheduleSpec, lr: f64, steps_per_epoch: usize, epochs: usize) -> Self {
        let steps_per_epoch = steps_per_epoch as u64;
        Self { spec: spec.clone(), lr, steps_per_epoch, steps: steps_per_epoch * epochs as u64, plateau: Plateau::NEW }
    }

    /// The rate of step `step`, counted from 0 over all epochs.
    pub(super) fn at(&self, step: u64) -> f64 {
        let warmup = self.spec.warmup_steps;
        if step < warmup {
            return self.lr * (step + 1) as f64 / warmup as f64;
        }
        let steps = self.steps.saturating_sub(warmup).max(1) as f64;
        let done = (step - warmup) as f64;
        match self.spec.name {
            ScheduleName::Constant => self.lr,
            ScheduleName::Step => {
                let epoch = step / self.steps_per_epoch.max(1);
                let changes = epoch / self.spec.step_epochs.max(1);
                self.lr * self.spec.gamma.powi(i32::try_from(changes).unwrap_or(i32::MAX))
            }
            ScheduleName::Linear => self.lr * (1.0 - done / steps).max(0.0),
            ScheduleName::Plateau => self.lr * self.spec.gamma.powi(self.plateau.falls),
            ScheduleName::Cosine => 0.5 * self.lr * (1.0 + (PI * done / steps).cos()),
            ScheduleName::OneCycle => self.one_cycle(done, steps),
        }
    }

    /// An epoch has ended. `plateau` lowers the rate whenever the metric was not better than its best for `step_epochs` epochs in a row. The
    /// metric is that of the validation rows; without them, the training loss.
    pub(super) fn note(&mut self, row: &EpochRow, validation: &ValidationSpec) {
        let Plateau { best, waited, falls } = &mut self.plateau;
        let cost = cost(row, validation.metric).unwrap_or(f64::INFINITY);
        if validation.improves(cost, *best) {
            (*best, *waited) = (cost, 0);
        } else {
            *waited += 1;
        }
        if *waited >= self.spec.step_epochs.max(1) {
            (*waited, *falls) = (0, falls.saturating_add(1));
        }
    }

    /// These are all epochs so far.
    pub(super) fn replay(&mut self, history: &[EpochRow], validation: &ValidationSpec) {
        self.plateau = Plateau::NEW;
        history.iter().for_each(|row| self.note(row, validation));
    }

    fn one_cycle(&self, done: f64, steps: f64) -> f64 {
        let (start, end) = (self.lr / ONE_CYCLE_START, self.lr / ONE_CYCLE_START / ONE_CYCLE_END);
        let top = ONE_CYCLE_UP * steps - 1.0;
        let last = steps - 1.0;
        let between = |from: f64, to: f64, share: f64| to + (from - to) / 2.0 * (1.0 + (PI * share).cos());
        if done <= top {
            between(start, self.lr, if top > 0.0 { done / top } else { 1.0 })
        } else {
            between(self.lr, end, ((done - top) / (last - top).max(1.0)).min(1.0))
        }
    }
}

/// The cost of an epoch; see [`MetricName::cost`].
fn cost(row: &EpochRow, metric: MetricName) -> Option<f64> {
    let found = match metric {
        MetricName::Loss => row.validation_loss,
        _ => row.metrics.get(metric.key()).copied(),
    };
    found.map(|value| metric.cost(value)).or(row.train_loss)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rates(name: ScheduleName, warmup_steps: u64) -> Vec<f64> {
        let spec = ScheduleSpec { name, warmup_steps, step_epochs: 2, gamma: 0.5 };
        let schedule = Schedule::new(&spec, 0.1, 5, 4);
        (0..20).map(|step| schedule.at(step)).collect()
    }

    #[test]
    fn shapes_begin_and_end_where_they_should() {
        assert!(rates(ScheduleName::Constant, 0).iter().all(|lr| (lr - 0.1).abs() < 1e-15));
        let step = rates(ScheduleName::Step, 0);
        assert_eq!((step[9], step[10], step[19]), (0.1, 0.05, 0.05));
        let linear = rates(ScheduleName::Linear, 0);
        assert!((linear[0] - 0.1).abs() < 1e-15 && (linear[10] - 0.05).abs() < 1e-15 && (linear[19] - 0.005).abs() < 1e-15);
        let cosine = rates(ScheduleName::Cosine, 0);
        assert!((cosine[0] - 0.1).abs() < 1e-15 && (cosine[10] - 0.05).abs() < 1e-15 && cosine[19] < 0.001);
        let cycle = rates(ScheduleName::OneCycle, 0);
        assert!((cycle[0] - 0.004).abs() < 1e-15 && (cycle[5] - 0.1).abs() < 1e-15 && cycle[19] < 1e-6);
    }

    fn epoch(train: f64, validation: Option<f64>, accuracy: Option<f64>) -> EpochRow {
        let metrics = accuracy.map(|value| (MetricName::Accuracy.key().to_owned(), value)).into_iter().collect();
        let (train_loss, validation_loss) = (Some(train), validation);
        EpochRow { epoch: 0, train_loss, validation_loss, metrics, lr: 0.1, samples: 1, seconds: 1.0, waited_seconds: 0.0 }
    }

    #[test]
    fn a_plateau_of_the_metric_lowers_the_rate() {
        let spec = ScheduleSpec { name: ScheduleName::Plateau, warmup_steps: 0, step_epochs: 2, gamma: 0.5 };
        let after = |history: &[EpochRow], metric, min_delta| {
            let mut schedule = Schedule::new(&spec, 0.1, 5, 9);
            schedule.replay(history, &ValidationSpec { metric, patience: None, min_delta, restore_best: false });
            schedule
        };
        let falls = |history: &[EpochRow], metric, min_delta| {
            (0..=history.len()).map(|n| after(&history[..n], metric, min_delta).plateau.falls).collect::<Vec<_>>()
        };
        let losses = [1.0, 0.9, 0.91, 0.92, 0.8, 0.79, 0.79, 0.79].map(|loss| epoch(loss, None, None));
        assert_eq!(falls(&losses, MetricName::Loss, 0.0), [0, 0, 0, 0, 1, 1, 1, 1, 2]);
        assert_eq!(falls(&losses, MetricName::Loss, 0.05), [0, 0, 0, 0, 1, 1, 1, 2, 2]);
        let right = [0.5, 0.6, 0.6, 0.6, 0.7].map(|accuracy| epoch(1.0, Some(0.0), Some(accuracy)));
        assert_eq!(falls(&right, MetricName::Accuracy, 0.0), [0, 0, 0, 0, 1, 1]);
        let rising = [1.0, 2.0, f64::NAN].map(|loss| epoch(0.0, Some(loss), None));
        assert_eq!(falls(&rising, MetricName::Loss, 0.0), [0, 0, 0, 1]);
        assert!((after(&losses, MetricName::Loss, 0.0).at(39) - 0.025).abs() < 1e-15);
    }

    #[test]
    fn a_warm_up_comes_before_the_shape() {
        let cosine = rates(ScheduleName::Cosine, 4);
        assert!((cosine[0] - 0.025).abs() < 1e-15 && (cosine[3] - 0.1).abs() < 1e-15 && (cosine[4] - 0.1).abs() < 1e-15);
        assert!((cosine[12] - 0.05).abs() < 1e-15);
    }
}

//! The time of a worker's steps: it shows whether they wait for rows, and warns if sums take more time than they save.

use std::time::Duration;

/// The number of steps before sums are judged. The first ones, in which libtorch and the caches warm up, are not counted.
const JUDGED_STEPS: u64 = 100;
const FIRST_STEPS: u64 = 10;
/// The share of a step that a sum may take at the advised batch size: a quarter of the rest.
const GOOD_SHARE: f64 = 4.0;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct StepTimer {
    /// Of this epoch: steps waited so long for their rows.
    pub(super) waited: Duration,
    /// Time of the judged steps: in total, and of their sums over the workers.
    pub(super) summed: Duration,
    took: Duration,
    steps: u64,
}

impl StepTimer {
    /// A step ended that took so long.
    pub(super) fn note(&mut self, took: Duration) {
        self.steps += 1;
        if self.steps == FIRST_STEPS {
            (self.took, self.summed) = (Duration::ZERO, Duration::ZERO);
        } else {
            self.took += took;
        }
    }

    /// Once, after enough steps: advice to make steps faster, if sums take longer than the rest.
    pub(super) fn advice(&self, world: usize, batch_rows: usize) -> Option<String> {
        if self.steps != FIRST_STEPS + JUDGED_STEPS || world == 1 {
            return None;
        }
        let millis = |time: Duration| time.as_secs_f64() * 1000.0 / JUDGED_STEPS as f64;
        let (step, sum) = (millis(self.took), millis(self.summed));
        let rest = (step - sum).max(0.001);
        if sum <= rest {
            return None;
        }
        let better = (batch_rows as f64 * GOOD_SHARE * sum / rest).ceil() as usize;
        let alone = if step > rest * world as f64 { "set numWorkers to 1, which is faster here, or" } else { "set" };
        Some(format!(
            "adding up gradients over {world} workers takes {sum:.2} ms of a step's {step:.2} ms, longer than all else: {alone} batchSize to \
             about {} instead of {batch_rows}, with a learning rate to match",
            better.next_power_of_two()
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after_steps(step: Duration, sum: Duration) -> StepTimer {
        let mut timer = StepTimer::default();
        for _ in 0..FIRST_STEPS + JUDGED_STEPS {
            timer.summed += sum;
            timer.note(step);
        }
        timer
    }

    #[test]
    fn sums_that_take_longer_than_the_rest_are_told_once_with_what_would_be_faster() {
        let ms = Duration::from_millis;
        let mut timer = after_steps(ms(4), ms(3));
        let advice = timer.advice(2, 64).unwrap();
        assert!(advice.contains("takes 3.00 ms of a step's 4.00 ms") && advice.contains("set numWorkers to 1"), "{advice}");
        assert!(advice.contains("about 1024 instead of 64"), "{advice}");
        assert!(!timer.advice(8, 64).unwrap().contains("numWorkers"), "eight workers are still faster than one");
        timer.note(ms(4));
        assert_eq!(timer.advice(2, 64), None);
        assert_eq!(after_steps(ms(4), ms(1)).advice(2, 64), None);
        assert_eq!(after_steps(ms(4), ms(3)).advice(1, 64), None);
    }
}

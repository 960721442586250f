//! How long passes of one model take on this machine, measured while it runs. Passes are kept short, so that a killed task ends
//! soon. It belongs to the model: all tasks share the measurements.
//!
//! A pass counts by the thread's CPU time, not by wall-clock time. If more tasks run than there are cores, passes wait for a
//! core. That must not make a model look slow: passes of other sizes can give other bits.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// Images of one forward pass on a CPU: the activations of more fall out of a core's cache. EfficientNet-Lite0 f32, two tasks on
/// two cores with 2 MiB of L2 each: 112, 102, 100, 90, 86 images/s at 2, 4, 8, 16, 32 images per pass.
pub(crate) const IMAGE_PASS_ROWS: usize = 4;

/// A pass that would last longer is cut.
const LONGEST_PASS: Duration = Duration::from_millis(400);

/// A single row that takes longer is logged.
const WORTH_SAYING: Duration = Duration::from_secs(1);

/// Rows of a pass of a model that was not measured yet: memory and time of a row are not known.
const FIRST_ROWS: usize = 8;

/// Their length in all, unless one row is longer: half a minute of sound at 16 kHz. The first layer of wav2vec 2.0 has 200 MB of values
/// for it; with eight rows of a minute, an executor took 7 GB.
const FIRST_LENGTH: usize = 1 << 19;

/// The last passes; the fastest of them counts. A machine that stalls now and then does not make passes small, and neither do
/// a program's first passes, in which libtorch still compiles it.
const REMEMBERED: usize = 4;

/// Passes before the speed counts as known.
const KNOWN_AFTER: usize = 2;

/// The calling thread's CPU time from here on.
pub(crate) struct ThreadTime(Duration);

impl ThreadTime {
    pub(crate) fn now() -> Self {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        Self(Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0)))
    }

    /// Time that this thread ran on a core since.
    pub(crate) fn elapsed(&self) -> Duration {
        Self::now().0.saturating_sub(self.0)
    }
}

/// See the module. A row's cost is its length if rows have lengths, otherwise 1.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// Picoseconds of one unit of cost.
    last: [AtomicU64; REMEMBERED],
    measured: AtomicUsize,
    said: AtomicBool,
}

impl Pace {
    /// Rows of this length that one pass may have.
    pub(crate) fn rows(&self, length: usize) -> usize {
        let measured = self.measured.load(Ordering::Relaxed);
        if measured < KNOWN_AFTER {
            return FIRST_ROWS.min(FIRST_LENGTH / length.max(1)).max(1);
        }
        let known = self.last.iter().take(measured.min(REMEMBERED));
        let fastest = known.map(|picos| picos.load(Ordering::Relaxed)).min().unwrap_or(0).max(1);
        let rows = LONGEST_PASS.as_nanos().saturating_mul(1000) / u128::from(fastest) / length.max(1) as u128;
        usize::try_from(rows).unwrap_or(usize::MAX).max(1)
    }

    /// Records a pass that `took` so much CPU time ([`ThreadTime`]).
    pub(crate) fn measured(&self, model: &str, rows: usize, length: usize, took: Duration) {
        let picos = took.as_nanos().saturating_mul(1000) / (rows.max(1) * length.max(1)) as u128;
        let at = self.measured.fetch_add(1, Ordering::Relaxed);
        self.last[at % REMEMBERED].store(u64::try_from(picos).unwrap_or(u64::MAX), Ordering::Relaxed);
        if rows == 1 && took > WORTH_SAYING && !self.said.swap(true, Ordering::Relaxed) {
            log::warn!(
                "one row of model '{model}' took {} ms in one forward pass, which cannot be interrupted: a killed task ends after it. \
                 spark.task.reaper.enabled=true with spark.task.reaper.killTimeout bounds how long Spark waits",
                took.as_millis()
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn an_unknown_model_begins_with_few_rows() {
        let pace = Pace::default();
        assert_eq!([0, 512, 60_000, 200_000, 960_000].map(|length| pace.rows(length)), [8, 8, 8, 2, 1]);
        pace.measured("m", 8, 0, ms(800));
        assert_eq!(pace.rows(0), 8);
    }

    #[test]
    fn heavy_rows_come_in_small_passes_and_light_ones_in_large() {
        let pace = Pace::default();
        (0..4).for_each(|_| pace.measured("m", 8, 0, ms(800)));
        assert_eq!(pace.rows(0), 4);
        pace.measured("m", 4, 0, ms(4));
        assert_eq!(pace.rows(0), 400);
    }

    #[test]
    fn a_thread_that_waits_takes_no_time() {
        let time = ThreadTime::now();
        std::thread::sleep(ms(50));
        assert!(time.elapsed() < ms(25), "{:?}", time.elapsed());
    }

    #[test]
    fn a_stall_changes_nothing() {
        let pace = Pace::default();
        (0..4).for_each(|_| pace.measured("m", 100, 0, ms(10)));
        pace.measured("m", 100, 0, ms(60_000));
        assert_eq!(pace.rows(0), 4000);
    }

    #[test]
    fn a_row_longer_than_a_pass_may_be_is_a_pass_of_its_own() {
        let pace = Pace::default();
        (0..4).for_each(|_| pace.measured("m", 1, 10, ms(5000)));
        assert_eq!(pace.rows(10), 1);
        assert_eq!(pace.rows(1), 1);
    }

    #[test]
    fn long_rows_cost_more_than_short_ones() {
        let pace = Pace::default();
        (0..4).for_each(|_| pace.measured("m", 10, 100, ms(100)));
        assert_eq!((pace.rows(100), pace.rows(400)), (40, 10));
    }
}

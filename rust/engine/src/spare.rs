//! Cores that no task uses, lent to a task that has forward passes waiting: a partition that is alone, or the last of a stage.
//!
//! A task counts as the cores of one pass (`spark.task.cpus`) while it evaluates a batch. A helper takes as many only if the
//! total stays within the threads of the decode pool. It gives them back after its pass if other tasks came. Helpers have a pool
//! of their own: the decode pool's threads may be busy with another task's pictures, and a task should not wait for these.

use std::sync::atomic::{AtomicUsize, Ordering};

use flambeau_torch_ext::process;
use once_cell::sync::OnceCell;
use rayon::ThreadPool;

use crate::pool;

static TAKEN: AtomicUsize = AtomicUsize::new(0);
static HELPERS: OnceCell<Option<ThreadPool>> = OnceCell::new();

/// The cores of one pass, taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Cores(usize);

impl Cores {
    /// For a task, which has them from Spark.
    pub(crate) fn of_task() -> Self {
        let own = process::intra_op_threads();
        TAKEN.fetch_add(own, Ordering::Relaxed);
        Self(own)
    }

    /// For a helper, if there are spare cores.
    fn spare() -> Option<Self> {
        let (cores, own) = (pool::threads(), process::intra_op_threads());
        let more = |taken| (taken + own <= cores).then_some(taken + own);
        TAKEN.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok().map(|_| Self(own))
    }

    /// Whether tasks came that need them.
    pub(crate) fn is_wanted(&self) -> bool {
        TAKEN.load(Ordering::Relaxed) > pool::threads()
    }
}

impl Drop for Cores {
    fn drop(&mut self) {
        TAKEN.fetch_sub(self.0, Ordering::Relaxed);
    }
}

/// Runs `work` on the calling thread, and `help` on every spare core, at most `most` of them; returns when all have ended.
pub(crate) fn helped<R>(most: usize, help: impl Fn(Cores) + Sync, work: impl FnOnce() -> R) -> R {
    let free = pool::threads().saturating_sub(TAKEN.load(Ordering::Relaxed)) / process::intra_op_threads();
    let free = free.min(most);
    let Some(helpers) = (free > 0).then(|| HELPERS.get_or_init(build).as_ref()).flatten() else { return work() };
    let help = &help;
    helpers.in_place_scope(|scope| {
        for _ in 0..free {
            scope.spawn(move |_| {
                if let Some(cores) = Cores::spare() {
                    help(cores);
                }
            });
        }
        work()
    })
}

fn build() -> Option<ThreadPool> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(pool::threads()).thread_name(|i| format!("flambeau-pass-{i}"));
    builder.build().inspect_err(|error| log::warn!("no threads for spare cores, a task's passes run on its own: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::thread::{self, ThreadId};

    use super::*;

    /// The threads that worked or helped, where the work waits until `helpers` have come.
    fn threads(helpers: usize) -> Vec<ThreadId> {
        let seen = Mutex::new(Vec::new());
        let note = || seen.lock().map(|mut seen| seen.push(thread::current().id())).ok();
        let come = || seen.lock().map_or(0, |seen| seen.len());
        helped(
            helpers,
            |_cores| {
                note();
            },
            || {
                while come() < helpers {
                    thread::yield_now();
                }
                note();
            },
        );
        seen.into_inner().unwrap_or_default()
    }

    #[test]
    fn spare_cores_help_until_tasks_take_them() {
        pool::configure(2);
        let cores = pool::threads();
        let task = Cores::of_task();
        let seen = threads(cores - 1);
        assert_eq!(seen.len(), cores);
        assert_eq!(seen.iter().filter(|id| **id == thread::current().id()).count(), 1);
        let others: Vec<Cores> = (1..cores).map(|_| Cores::of_task()).collect();
        assert!(!task.is_wanted());
        helped(8, |_cores| panic!("there is no core for it"), || {});
        let too_many = Cores::of_task();
        assert!(task.is_wanted());
        drop((others, too_many));
        assert_eq!(threads(cores - 1).len(), cores);
    }
}

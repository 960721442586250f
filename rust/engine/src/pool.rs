//! The decode pool: one per process, shared by all tasks. Work is handed over and waited for by the task that asked
//! for it (within one call, or, ahead of a training step, by the time its trainer closes), and nothing there touches the JVM.

use once_cell::sync::OnceCell;
use rayon::ThreadPool;

static POOL: OnceCell<Option<ThreadPool>> = OnceCell::new();

/// Fixes the number of threads; later calls change nothing. Without a call it is one per core.
pub fn configure(threads: usize) {
    POOL.get_or_init(|| build(threads));
}

/// Runs `work` on the pool and waits; on the calling thread where no pool could be made.
pub(crate) fn install<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match POOL.get_or_init(|| build(0)) {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// Starts `work` on the pool; on the calling thread where no pool could be made. Whoever starts it waits for its end before
/// its own task ends.
pub(crate) fn spawn(work: impl FnOnce() + Send + 'static) {
    match POOL.get_or_init(|| build(0)) {
        Some(pool) => pool.spawn(work),
        None => work(),
    }
}

fn build(threads: usize) -> Option<ThreadPool> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("flambeau-decode-{i}"));
    builder.build().inspect_err(|error| log::warn!("no decode pool, rows are prepared on the task's thread: {error}")).ok()
}

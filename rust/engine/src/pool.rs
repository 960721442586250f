//! The decode pool: one per process, shared by all tasks. Work is handed over and waited for within one call, so nothing on
//! the pool outlives the task that asked for it, and nothing there touches the JVM.

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

fn build(threads: usize) -> Option<ThreadPool> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("flambeau-decode-{i}"));
    builder.build().inspect_err(|error| log::warn!("no decode pool, rows are prepared on the task's thread: {error}")).ok()
}

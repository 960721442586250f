//! The decode pool: one per process, shared by all tasks. The task that submits work also waits for it: within one call, or, for
//! a later training step, before its trainer closes. Nothing on the pool calls the JVM.

use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::Duration;

use once_cell::sync::OnceCell;
use rayon::ThreadPool;

static POOL: OnceCell<Option<ThreadPool>> = OnceCell::new();

/// Sets the number of threads; later calls change nothing. Without a call it is one per core.
pub fn configure(threads: usize) {
    POOL.get_or_init(|| build(threads));
}

/// How many threads it has; 1 if no pool could be made.
pub(crate) fn threads() -> usize {
    POOL.get_or_init(|| build(0)).as_ref().map_or(1, ThreadPool::current_num_threads)
}

/// Runs `work` on the pool and waits; on the calling thread if no pool could be made.
pub fn install<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    match POOL.get_or_init(|| build(0)) {
        Some(pool) => pool.install(work),
        None => work(),
    }
}

/// How often a task that waits for the pool checks whether it was killed.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Runs `work` on the pool and waits; meanwhile the calling thread checks `stop`, and calls `stopped` once when it is true, so
/// that `work` ends early. `None` if `work` returned nothing.
pub(crate) fn watched<R: Send>(stop: &mut dyn FnMut() -> bool, stopped: impl Fn(), work: impl FnOnce() -> R + Send) -> Option<R> {
    let Some(pool) = POOL.get_or_init(|| build(0)) else { return Some(work()) };
    let (done, result) = sync_channel(1);
    pool.in_place_scope(|scope| {
        scope.spawn(move |_| drop(done.send(work())));
        loop {
            match result.recv_timeout(ASK_EVERY) {
                Ok(result) => return Some(result),
                Err(RecvTimeoutError::Disconnected) => return None,
                Err(RecvTimeoutError::Timeout) if stop() => stopped(),
                Err(RecvTimeoutError::Timeout) => {}
            }
        }
    })
}

/// Starts `work` on the pool; on the calling thread if no pool could be made. The task that starts it must wait for its end.
pub fn spawn(work: impl FnOnce() + Send + 'static) {
    match POOL.get_or_init(|| build(0)) {
        Some(pool) => pool.spawn(work),
        None => work(),
    }
}

fn build(threads: usize) -> Option<ThreadPool> {
    let builder = rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(|i| format!("flambeau-decode-{i}"));
    builder.build().inspect_err(|error| log::warn!("no decode pool, rows are prepared on the task's thread: {error}")).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    #[test]
    fn work_that_is_watched_can_be_told_to_end() {
        let told = AtomicBool::new(false);
        let mut asked = 0;
        let stop = &mut || {
            asked += 1;
            asked == 2
        };
        let ended = watched(
            stop,
            || told.store(true, Ordering::SeqCst),
            || {
                while !told.load(Ordering::SeqCst) {
                    std::thread::yield_now();
                }
            },
        );
        assert_eq!((ended, asked >= 2), (Some(()), true));
        assert_eq!(watched(&mut || true, || {}, || 7), Some(7));
    }
}

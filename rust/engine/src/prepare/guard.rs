//! Wraps the preparation of every row, of any kind: a panic of a decoder or tokenizer becomes the error of its row, and waiting
//! rows are skipped once the task must stop.
//!
//! Runs on the threads of the decode pool, next to other rows. After a panic, the memory that the row was writing is not read.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::RowError;

/// Whether rows that have not begun are still needed. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// Skips all rows from now on.
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether rows are skipped.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Prepares one row. A panic becomes that row's error. Once `stop` is set, every row is an error (the caller then drops the batch).
pub(crate) fn row<T, E: Into<RowError>>(stop: &StopFlag, prepare: impl FnOnce() -> Result<T, E>) -> Result<T, RowError> {
    if stop.is_set() {
        return Err(RowError::Panicked("the task was stopped".to_owned()));
    }
    match catch_unwind(AssertUnwindSafe(prepare)) {
        Ok(prepared) => prepared.map_err(Into::into),
        Err(payload) => Err(RowError::Panicked(text_of(payload))),
    }
}

/// `panic!("literal")` carries a `&str`; formatted panics, `unwrap`, `expect` and index errors carry a `String`.
fn text_of(payload: Box<dyn Any + Send>) -> String {
    let text = payload.downcast_ref::<&'static str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "without a message".to_owned());
    // Dropping a payload may panic itself; forgetting a few bytes may not.
    std::mem::forget(payload);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_the_fault_of_its_row_with_its_message() {
        let stop = StopFlag::default();
        let empty: Vec<u8> = Vec::new();
        let error = row(&stop, || Ok::<u8, RowError>(empty[std::hint::black_box(3)])).unwrap_err();
        assert!(error.to_string().contains("index out of bounds"), "{error}");
        assert_eq!(row(&stop, || Ok::<u8, RowError>(7)).unwrap(), 7);
    }

    #[test]
    fn rows_that_have_not_begun_are_skipped_once_stopped() {
        let stop = StopFlag::default();
        stop.clone().set();
        let mut begun = false;
        let skipped = row(&stop, || {
            begun = true;
            Ok::<u8, RowError>(1)
        });
        assert!(skipped.is_err() && !begun);
    }
}

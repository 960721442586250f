//! One worker's rows: written batch by batch to an Arrow IPC file on local disk, then mapped into memory.
//!
//! What every step needs of every row is small and stays in memory (label, weight, flags, slot and id: about 34 bytes a row);
//! the inputs stay in the file, where the operating system keeps what fits of them in memory. Numeric inputs named *dense*
//! are checked and stored as fixed-size lists of f32, so that a batch of them is a few copies of memory; all others are
//! stored as they came. A row that cannot be trained on is an error of the call that brings it, with its position there.
//!
//! The file belongs to the feed: it is deleted when the feed goes.

mod columns;
mod sealed;
mod writing;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow_array::StructArray;
use arrow_schema::Fields;
use serde::{Deserialize, Serialize};

use crate::EngineError;

pub(super) use columns::{Labels, RowColumns};
pub(super) use sealed::{Dense, Sealed};
use writing::Writing;

/// Where and how rows are kept.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FeedSpec {
    /// A local folder of this task alone.
    pub directory: PathBuf,
    /// How many slots the column `__slot` counts; 0: there is no such column.
    #[serde(default)]
    pub slots: u32,
    /// Shapes of a row of the dense inputs, by column.
    #[serde(default)]
    pub dense: BTreeMap<String, Vec<usize>>,
}

/// What a sealed feed holds. Labels of all rows count; `None` where there are none, or where labels are vectors.
#[derive(Debug, Clone, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct FeedSummary {
    pub rows: u64,
    pub validation_rows: u64,
    pub bytes: u64,
    pub label_min: Option<f64>,
    pub label_max: Option<f64>,
    /// Whether all labels are whole numbers; true where there are none.
    pub label_integral: bool,
}

enum State {
    Writing(Box<Writing>),
    Sealed(std::sync::Arc<Sealed>),
    Broken,
}

/// See the module.
pub struct Feed {
    columns: Fields,
    cancelled: AtomicBool,
    state: Mutex<State>,
}

impl Feed {
    /// For batches of these columns: the inputs, and of the row columns at least `__label`.
    ///
    /// # Errors
    /// Columns of types that cannot be read, or a file that cannot be made.
    pub fn create(spec: FeedSpec, columns: Fields) -> Result<Self, EngineError> {
        let writing = Writing::create(spec, &columns)?;
        Ok(Self { columns, cancelled: AtomicBool::new(false), state: Mutex::new(State::Writing(Box::new(writing))) })
    }

    /// The columns that every batch must have.
    #[must_use]
    pub fn columns(&self) -> &Fields {
        &self.columns
    }

    /// Set to stop what works on the feed without a trainer.
    #[must_use]
    pub fn cancelled(&self) -> &AtomicBool {
        &self.cancelled
    }

    /// Appends rows.
    ///
    /// # Errors
    /// A row that cannot be trained on, or a file that cannot be written.
    pub fn add(&self, batch: &StructArray) -> Result<(), EngineError> {
        match &mut *self.lock() {
            State::Writing(writing) => writing.add(batch),
            _ => Err(EngineError::BadRequest("rows were added to a feed that is sealed".into())),
        }
    }

    /// Ends writing and maps the file.
    ///
    /// # Errors
    /// A file that cannot be finished or read back.
    pub fn seal(&self) -> Result<FeedSummary, EngineError> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Broken) {
            State::Writing(writing) => {
                let sealed = writing.seal()?;
                let summary = sealed.summary();
                *state = State::Sealed(std::sync::Arc::new(sealed));
                Ok(summary)
            }
            State::Sealed(sealed) => {
                let summary = sealed.summary();
                *state = State::Sealed(sealed);
                Ok(summary)
            }
            State::Broken => Err(EngineError::BadRequest("the feed broke while it was sealed".into())),
        }
    }

    /// The sealed rows.
    pub(super) fn sealed(&self) -> Result<std::sync::Arc<Sealed>, EngineError> {
        match &*self.lock() {
            State::Sealed(sealed) => Ok(sealed.clone()),
            _ => Err(EngineError::BadRequest("a trainer needs a sealed feed".into())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A failure of the feed's own file.
pub(super) fn broken(error: impl std::fmt::Display) -> EngineError {
    EngineError::Internal(format!("the feed's file: {error}; is there room in spark.local.dir?"))
}

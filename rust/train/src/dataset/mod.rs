//! One worker's rows: written batch by batch to an Arrow IPC file on local disk, then mapped into memory.
//!
//! The data that every step needs stays in memory (label, weight, flags, shard and id: about 34 bytes per row). The inputs stay in
//! the file, which the operating system caches as far as they fit. *Dense* columns of numbers (inputs, and labels that are
//! arrays) are checked by the code of inference. They are stored as the bytes of their tensor's dtype, so that a batch of them is
//! a few copies of memory. All others are stored as they are. A row that cannot be trained on is an error of the call that adds
//! it, with its position there. If the specification allows it, the row is left out instead.
//!
//! The file belongs to the dataset: it is deleted when the dataset is dropped.

mod columns;
mod dense;
mod mapped;
mod trial;
mod writer;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, PoisonError};

use arrow_array::StructArray;
use arrow_schema::Fields;
use flambeau_engine::EngineError;
use flambeau_engine::package::Dtype;
use flambeau_media::image::ImageLimits;
use serde::{Deserialize, Serialize};

pub(super) use columns::{Labels, RowColumns};
pub(super) use dense::Dense;
pub(super) use mapped::MappedDataset;
pub(super) use trial::try_rows;
use writer::DatasetWriter;

/// Maximum number of shards: they need memory, whatever the batch size.
pub(super) const MAX_SHARDS: u32 = 1 << 16;

/// Where and how rows are stored.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatasetSpec {
    /// A local folder of this task alone.
    pub directory: PathBuf,
    /// How many shards the column `__shard` counts; 0: there is no such column.
    pub shards: u32,
    /// The dense columns, and their tensors for a row.
    pub dense: BTreeMap<String, DenseSpec>,
    /// Least and largest label, if labels have bounds.
    pub label_range: Option<(f64, f64)>,
    /// Whether a row that cannot be trained on is left out, rather than being an error.
    pub skip_invalid: bool,
    /// How rows of the other columns are tried when they are added, if bad rows are left out. None: they are not tried.
    pub trial: Option<TrialSpec>,
}

/// A dense column.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenseSpec {
    /// Of one row; [] for a number.
    pub shape: Vec<usize>,
    /// Of its tensor.
    pub dtype: Dtype,
}

/// Which package reads the columns that are not dense.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrialSpec {
    /// Its folder.
    pub package: PathBuf,
    /// The dataset's columns in the order of its inputs.
    pub inputs: Vec<String>,
    /// Limits for an image.
    pub images: ImageLimits,
}

/// A row that was left out.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Skipped {
    /// Its position in the batch that was just added.
    pub row: usize,
    /// Why.
    pub cause: String,
}

/// Facts about a finished dataset. Labels of all rows count; `None` if there are none, or if labels are vectors.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct DatasetSummary {
    pub rows: u64,
    pub validation_rows: u64,
    pub bytes: u64,
    pub label_min: Option<f64>,
    pub label_max: Option<f64>,
    /// Whether all labels are whole numbers; true if there are none.
    pub label_integral: bool,
}

enum State {
    Writing(Box<DatasetWriter>),
    Finished(std::sync::Arc<MappedDataset>),
    Broken,
}

/// See the module.
pub struct TrainingDataset {
    columns: Fields,
    canceled: AtomicBool,
    state: Mutex<State>,
}

impl TrainingDataset {
    /// For batches of these columns: the inputs, and of the row columns at least `__label`.
    ///
    /// # Errors
    /// Columns of types that cannot be read, or a file that cannot be made.
    pub fn create(spec: DatasetSpec, columns: Fields) -> Result<Self, EngineError> {
        let writing = DatasetWriter::create(spec, &columns)?;
        Ok(Self { columns, canceled: AtomicBool::new(false), state: Mutex::new(State::Writing(Box::new(writing))) })
    }

    /// The columns that every batch must have.
    #[must_use]
    pub fn columns(&self) -> &Fields {
        &self.columns
    }

    /// Set to stop work on the dataset that has no trainer.
    #[must_use]
    pub fn canceled(&self) -> &AtomicBool {
        &self.canceled
    }

    /// Appends rows. Returns the positions of those that were left out.
    ///
    /// # Errors
    /// A row that cannot be trained on, unless such rows are left out; or a file that cannot be written.
    pub fn add(&self, batch: &StructArray) -> Result<Vec<Skipped>, EngineError> {
        match &mut *self.lock() {
            State::Writing(writing) => writing.add(batch),
            _ => Err(EngineError::BadRequest("rows were added to a dataset that is finished".into())),
        }
    }

    /// Ends writing and maps the file.
    ///
    /// # Errors
    /// A file that cannot be finished or read back.
    pub fn finish(&self) -> Result<DatasetSummary, EngineError> {
        let mut state = self.lock();
        match std::mem::replace(&mut *state, State::Broken) {
            State::Writing(writing) => {
                let mapped = writing.finish()?;
                let summary = mapped.summary();
                *state = State::Finished(std::sync::Arc::new(mapped));
                Ok(summary)
            }
            State::Finished(mapped) => {
                let summary = mapped.summary();
                *state = State::Finished(mapped);
                Ok(summary)
            }
            State::Broken => Err(EngineError::BadRequest("the dataset broke while it was finished".into())),
        }
    }

    /// The finished rows.
    pub(super) fn mapped(&self) -> Result<std::sync::Arc<MappedDataset>, EngineError> {
        match &*self.lock() {
            State::Finished(mapped) => Ok(mapped.clone()),
            _ => Err(EngineError::BadRequest("a trainer needs a finished dataset".into())),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A failure of the dataset's own file.
pub(super) fn broken(error: impl std::fmt::Display) -> EngineError {
    EngineError::Disk(format!("the training rows cannot be kept on this machine's disk: {error}"))
}

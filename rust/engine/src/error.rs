//! Errors as data. Messages are made here; the variant shows who must act.

use flambeau_columns::{ColumnError, DenseError};
use flambeau_media::audio::AudioError;
use flambeau_media::image::ImageError;
use flambeau_media::text::TextError;
use flambeau_torch_ext::TorchError;

/// Why one row's content cannot be evaluated.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RowError {
    /// An image that cannot be read.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A text that cannot be tokenized.
    #[error(transparent)]
    Text(#[from] TextError),
    /// A clip that cannot be read.
    #[error(transparent)]
    Audio(#[from] AudioError),
    /// A row that cannot be trained on.
    #[error("{0}")]
    Training(String),
    /// A decoder or tokenizer that panicked on this row: a bug of that library, which does not affect other rows.
    #[error("the library that reads it failed on this row: {0}")]
    Panicked(String),
    /// A whole number that the model does not take.
    #[error("the value {value} is {side} {limit} that the model takes ({key} in its model.toml)")]
    Outside {
        /// As it came.
        value: i64,
        /// Of the limit.
        side: &'static str,
        /// The limit of model.toml, in words.
        limit: String,
        /// Its key there.
        key: &'static str,
    },
    /// A row that makes the model's program raise, or return outputs of another shape.
    #[error("the model's program fails on this row: {0}")]
    ProgramFailed(String),
    /// A vector that has another number of elements than those that it is compared with.
    #[error("a vector has {actual} elements, and others have {expected}")]
    Elements {
        /// Of the others.
        expected: usize,
        /// Of this one.
        actual: usize,
    },
    /// An array that is not a tensor of the declared shape and dtype.
    #[error(transparent)]
    Dense(#[from] DenseError),
}

impl RowError {
    /// With the input's name in front, if one input is the cause.
    #[must_use]
    pub fn of_input(&self, input: &str) -> String {
        if input.is_empty() { self.to_string() } else { format!("input '{input}': {self}") }
    }
}

/// A failed call.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// A row's content, if the caller wants an error instead of NULL.
    #[error("{}", error.of_input(input))]
    BadInput {
        /// Row within the batch.
        row: usize,
        /// The model's input; empty if no single input is the cause.
        input: String,
        /// What is wrong.
        #[source]
        error: RowError,
    },
    /// The package or its program.
    #[error("model '{model}': {cause}")]
    BadModel {
        /// The package's name, or its folder where the name could not be read.
        model: String,
        /// What is wrong.
        cause: String,
    },
    /// Arguments that do not fit the model.
    #[error("{0}")]
    BadRequest(String),
    /// A column of a type that the input does not take.
    #[error("input '{input}': {error}")]
    Column {
        /// The model's input.
        input: String,
        /// What is wrong.
        #[source]
        error: ColumnError,
    },
    /// libtorch failed.
    #[error("model '{model}': libtorch: {error}")]
    Torch {
        /// The package's name.
        model: String,
        /// What it said.
        #[source]
        error: TorchError,
    },
    /// Another rank of the group failed, is gone, or is too late.
    #[error("rank {rank} of {world}, while {phase}: {cause}")]
    Peer {
        /// The rank that reports this.
        rank: usize,
        /// How many there are.
        world: usize,
        /// What it was doing.
        phase: String,
        /// What c10d said.
        cause: String,
    },
    /// A folder or disk of this machine that cannot be written or read.
    #[error("{0}")]
    Disk(String),
    /// A checkpoint that is not as it was written.
    #[error("{0}")]
    BadCheckpoint(String),
    /// A loss that is NaN or infinite.
    #[error("{0}")]
    Diverged(String),
    /// Stopped from outside.
    #[error("the work was canceled")]
    Canceled,
    /// A bug in Flambeau that was detected.
    #[error("internal error: {0}")]
    Internal(String),
}

impl EngineError {
    /// The name of the error kind on the JVM side, which shows who must act.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::BadInput { .. } => "bad_input",
            Self::BadModel { .. } => "bad_model",
            Self::BadRequest(_) | Self::Column { .. } => "bad_request",
            Self::Torch { error: TorchError::OutOfMemory(_), .. } => "out_of_memory",
            Self::Torch { error: TorchError::Device(_), .. } => "device",
            Self::Torch { .. } => "torch",
            Self::Peer { .. } => "peer",
            Self::Disk(_) => "disk",
            Self::BadCheckpoint(_) => "bad_checkpoint",
            Self::Diverged(_) => "diverged",
            Self::Canceled => "canceled",
            Self::Internal(_) => "internal",
        }
    }

    /// The row of the batch that caused it, if there is one.
    #[must_use]
    pub fn row(&self) -> Option<usize> {
        match self {
            Self::BadInput { row, .. } => Some(*row),
            _ => None,
        }
    }

    /// What is wrong with a package or its program.
    pub fn model(model: &str, cause: impl std::fmt::Display) -> Self {
        Self::BadModel { model: model.to_owned(), cause: cause.to_string() }
    }

    /// A program that libtorch does not load. `what` names its files.
    #[must_use]
    pub fn program(model: &str, what: &str, error: TorchError) -> Self {
        match error {
            TorchError::OutOfMemory(_) | TorchError::Device(_) => Self::torch(model, error),
            other => Self::model(model, format!("{what} cannot be loaded as TorchScript: {other}")),
        }
    }

    /// An error of libtorch, with its model.
    pub fn torch(model: &str, error: impl Into<TorchError>) -> Self {
        Self::Torch { model: model.to_owned(), error: error.into() }
    }
}

/// A message of libtorch without its backtrace.
pub fn text_of(error: impl Into<TorchError>) -> String {
    error.into().to_string()
}

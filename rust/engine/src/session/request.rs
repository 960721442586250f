//! The outputs requested from a session; the JVM sends them as JSON.

use flambeau_media::image::ImageLimits;
use serde::Deserialize;

use super::roles;
use crate::engine::Wanted;
use crate::faults::Fault;
use crate::{EngineError, Package};

/// Outputs and settings of one session; the JVM sends all of them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// One result column each, in order.
    pub outputs: Vec<OutputRequest>,
    /// Limits for a picture.
    pub images: ImageLimits,
    /// Maximum rows of one forward pass. None: the package's number.
    pub pass_rows: Option<usize>,
    /// For tests.
    pub fault: Option<Fault>,
}

/// One result column.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OutputRequest {
    /// What it holds.
    pub task: Task,
    /// Maximum number of labels of `classify`.
    pub k: usize,
    /// `detect` drops boxes with this score or less.
    pub threshold: f64,
    /// NULL for a bad row instead of an error.
    pub null_on_error: bool,
}

/// The content of a result column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// list of f32: the first output with role `features`, flattened.
    Featurize,
    /// list of struct(label, index, probability), best first: the first output with role `scores`.
    Classify,
    /// struct of every output.
    Infer,
    /// list of struct(label, index, score, box), best first: outputs with the roles `boxes` and `box_scores`, and perhaps `box_classes`.
    Detect,
    /// struct(map, segments: list of struct(label, index, pixels, share)): the first output with role `pixel_scores`.
    Segment,
    /// struct(text, words): the first output with role `ctc`, decoded.
    Transcribe,
    /// f32: the one score of a pair of texts: the first output with role `scores`.
    Rerank,
    /// list of struct(label, score, start, end, text): the first output with role `token_scores`.
    Entities,
    /// struct(answer, score, start, end): the first outputs with the roles `start_scores` and `end_scores`.
    Answer,
    /// Why the row is bad, as text; NULL for others.
    Error,
}

impl Request {
    /// A request for one column, of pictures as large as Pillow takes them.
    #[must_use]
    pub fn one(task: Task, k: usize, null_on_error: bool) -> Self {
        Self {
            outputs: vec![OutputRequest { task, k, threshold: 0.0, null_on_error }],
            images: ImageLimits::default(),
            pass_rows: None,
            fault: None,
        }
    }

    /// Whether no column wants an error for a bad row.
    pub(crate) fn is_null_on_error(&self) -> bool {
        self.outputs.iter().all(|output| output.null_on_error || output.task == Task::Error)
    }

    /// The outputs of the program that the columns are made of.
    pub(crate) fn wanted(&self, package: &Package) -> Wanted {
        self.outputs.iter().fold(Wanted::NONE, |wanted, output| match roles::read(package, output.task) {
            Ok(Some(indices)) => indices.into_iter().fold(wanted, Wanted::with),
            Ok(None) | Err(_) => Wanted::ALL,
        })
    }

    /// Whether a column says where something is in a text.
    pub(crate) fn needs_offsets(&self) -> bool {
        self.outputs.iter().any(|output| matches!(output.task, Task::Entities | Task::Answer))
    }

    pub(crate) fn check(&self, package: &Package) -> Result<(), EngineError> {
        self.outputs.iter().try_for_each(|output| roles::read(package, output.task).map(drop))
    }
}

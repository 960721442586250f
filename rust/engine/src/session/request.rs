//! The outputs requested from a session; the JVM sends them as JSON.

use flambeau_media::image::ImageLimits;
use serde::Deserialize;

use super::roles::{self, find};
use crate::engine::Wanted;
use crate::faults::Fault;
use crate::package::Role;
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
        let by_role = |wanted: Wanted, role, function| find(package, role, function).map_or(Wanted::ALL, |(index, _)| wanted.with(index));
        self.outputs.iter().fold(Wanted::NONE, |wanted, output| match output.task {
            Task::Featurize => by_role(wanted, Role::Features, "featurize"),
            Task::Classify => by_role(wanted, Role::Scores, "classify"),
            Task::Segment => by_role(wanted, Role::PixelScores, "segment"),
            Task::Error => wanted,
            // A task reads all of them until it says which.
            _ => Wanted::ALL,
        })
    }

    /// Whether a column says where something is in a text.
    pub(crate) fn needs_offsets(&self) -> bool {
        self.outputs.iter().any(|output| matches!(output.task, Task::Entities | Task::Answer))
    }

    pub(crate) fn check(&self, package: &Package) -> Result<(), EngineError> {
        for output in &self.outputs {
            match output.task {
                Task::Featurize => drop(find(package, Role::Features, "featurize")?),
                Task::Classify => drop(find(package, Role::Scores, "classify")?),
                Task::Detect => {
                    find(package, Role::Boxes, "detect")?;
                    find(package, Role::BoxScores, "detect")?;
                }
                Task::Segment => drop(find(package, Role::PixelScores, "segment")?),
                Task::Transcribe => drop(find(package, Role::Ctc, "transcribe")?),
                Task::Rerank => drop(roles::rerank(package)?),
                Task::Entities => drop(find(package, Role::TokenScores, "entities")?),
                Task::Answer => drop(roles::answer(package)?),
                Task::Infer | Task::Error => {}
            }
        }
        Ok(())
    }
}

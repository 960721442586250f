//! What a session is asked for; the JVM sends it as JSON.

use flambeau_media::image::{Decode, ImageLimits};
use serde::Deserialize;

use crate::faults::Fault;
use crate::package::{Output, Role};
use crate::{EngineError, Package};

/// Outputs and settings of one session.
#[derive(Debug, Clone, Deserialize)]
pub struct Request {
    /// One result column each, in order.
    pub outputs: Vec<OutputRequest>,
    /// Limits and switches.
    #[serde(default)]
    pub settings: Settings,
}

/// One result column.
#[derive(Debug, Clone, Deserialize)]
pub struct OutputRequest {
    /// What it holds.
    pub task: Task,
    /// Labels of `classify` at the most.
    #[serde(default)]
    pub k: usize,
    /// NULL for a bad row instead of an error.
    #[serde(default)]
    pub tolerant: bool,
}

/// What a result column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Task {
    /// list of f32: the first output with role `features`, flattened.
    Featurize,
    /// list of struct(label, index, probability), best first: the first output with role `scores`.
    Classify,
    /// struct of every output.
    Infer,
    /// Why the row is bad, as text; NULL for others.
    Error,
}

/// Settings as Spark has them: text. Unknown ones are for others to read.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Settings {
    /// See [`ImageLimits`].
    max_pixels: Option<String>,
    /// See [`ImageLimits`].
    image_decode: Option<Decode>,
    /// Rows of one forward pass at the most.
    batch_rows: Option<String>,
    /// For tests.
    pub fault: Option<Fault>,
}

impl Settings {
    pub(crate) fn images(&self) -> Result<ImageLimits, EngineError> {
        let mut limits = ImageLimits { decode: self.image_decode.unwrap_or_default(), ..ImageLimits::default() };
        if let Some(text) = &self.max_pixels {
            let not_whole = |_| EngineError::BadRequest(format!("spark.flambeau.image.maxPixels is '{text}', not a whole number"));
            limits.max_pixels = text.parse().map_err(not_whole)?;
        }
        Ok(limits)
    }

    pub(crate) fn pass_rows(&self) -> Option<usize> {
        self.batch_rows.as_deref().and_then(|text| text.parse().ok()).filter(|rows| *rows > 0)
    }
}

impl Request {
    /// A request for one column.
    #[must_use]
    pub fn one(task: Task, k: usize, tolerant: bool) -> Self {
        Self { outputs: vec![OutputRequest { task, k, tolerant }], settings: Settings::default() }
    }

    /// Whether no column wants an error for a bad row.
    pub(crate) fn is_tolerant(&self) -> bool {
        self.outputs.iter().all(|output| output.tolerant || output.task == Task::Error)
    }

    pub(crate) fn check(&self, package: &Package) -> Result<(), EngineError> {
        for output in &self.outputs {
            match output.task {
                Task::Featurize => drop(find(package, Role::Features, "featurize")?),
                Task::Classify => drop(find(package, Role::Scores, "classify")?),
                Task::Infer | Task::Error => {}
            }
        }
        Ok(())
    }
}

/// Index and description of the package's first output with this role.
pub(super) fn find<'a>(package: &'a Package, role: Role, function: &str) -> Result<(usize, &'a Output), EngineError> {
    let mut outputs = package.descriptor.outputs.iter().enumerate();
    outputs.find(|(_, output)| output.role == role).ok_or_else(|| {
        let wanted = format!("{role:?}").to_lowercase();
        EngineError::BadRequest(format!("{function} needs an output with role '{wanted}'; model '{}' has none", package.descriptor.name))
    })
}

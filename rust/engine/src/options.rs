//! Options for opening a model.

use serde::Deserialize;

use crate::EngineError;
use crate::package::Precision;

/// The options for opening a model; the JVM sends all of them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelOptions {
    /// Hash of the `model.toml` that the query was planned with; another one is an error. None: any.
    pub hash: Option<String>,
    /// Least cosine of a variant of reduced precision.
    pub min_cosine: f64,
    /// The requested precision; see [`crate::Package::choose_variant`].
    pub precision: Precision,
    /// The requested engine.
    pub engine: WantedEngine,
}

impl ModelOptions {
    /// In f32, by libtorch's interpreter, with any `model.toml`: the start for programs without a JVM.
    #[must_use]
    pub fn plain() -> Self {
        Self { hash: None, min_cosine: 0.999, precision: Precision::F32, engine: WantedEngine::Torchscript }
    }
}

/// What `spark.flambeau.engine` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum WantedEngine {
    /// The fastest engine with correct outputs.
    Auto,
    /// See [`crate::EngineName::Torchscript`].
    Torchscript,
    /// See [`crate::EngineName::Fused`].
    Fused,
    /// See [`crate::EngineName::Aot`].
    Aot,
}

impl TryFrom<String> for WantedEngine {
    type Error = EngineError;

    fn try_from(text: String) -> Result<Self, EngineError> {
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "torchscript" => Ok(Self::Torchscript),
            "fused" => Ok(Self::Fused),
            "aot" => Ok(Self::Aot),
            _ => Err(EngineError::BadRequest(format!("spark.flambeau.engine is '{text}'; it can be auto, torchscript, fused or aot"))),
        }
    }
}

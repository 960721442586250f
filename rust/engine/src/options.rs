//! What whoever opens a model may choose.

use serde::Deserialize;

use crate::EngineError;
use crate::package::Precision;

/// How a model is to be opened; whole, as the JVM sends it.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelOptions {
    /// Hash of the `model.toml` that the query was planned with; another one is an error. None: any.
    pub hash: Option<String>,
    /// Least cosine of a variant of reduced precision.
    pub min_cosine: f64,
    /// The precision asked for; see [`crate::Package::choose_variant`].
    pub precision: Precision,
    /// The engine asked for.
    pub engine: WantedEngine,
}

impl ModelOptions {
    /// In f32, by libtorch's interpreter, whatever `model.toml` is: what programs without a JVM begin with.
    #[must_use]
    pub fn plain() -> Self {
        Self { hash: None, min_cosine: 0.999, precision: Precision::F32, engine: WantedEngine::Torchscript }
    }
}

/// What `spark.flambeau.engine` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum WantedEngine {
    /// The fastest whose outputs are right.
    Auto,
    /// See [`crate::EngineName::Torchscript`].
    Torchscript,
    /// See [`crate::EngineName::Fused`].
    Fused,
}

impl TryFrom<String> for WantedEngine {
    type Error = EngineError;

    fn try_from(text: String) -> Result<Self, EngineError> {
        match text.as_str() {
            "auto" => Ok(Self::Auto),
            "torchscript" => Ok(Self::Torchscript),
            "fused" => Ok(Self::Fused),
            _ => Err(EngineError::BadRequest(format!("spark.flambeau.engine is '{text}'; it can be auto, torchscript, fused"))),
        }
    }
}

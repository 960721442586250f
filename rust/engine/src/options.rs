//! What whoever opens a model may choose.

use serde::Deserialize;

use crate::EngineError;

/// How a model is to be opened; the JVM sends it as JSON. Values come as text, as Spark's settings do.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ModelOptions {
    /// Hash of the `model.toml` that the query was planned with; another one is an error.
    pub hash: Option<String>,
    /// Least cosine of a variant of reduced precision; 0.999 unless given.
    pub min_cosine: Option<String>,
    /// The precision asked for; see [`crate::Package::choose_variant`]. f32 unless given.
    pub precision: Option<String>,
    /// The engine asked for: `auto` or a name of [`crate::EngineName`]; `torchscript` unless given.
    pub engine: Option<String>,
}

impl ModelOptions {
    pub(crate) fn precision(&self) -> &str {
        self.precision.as_deref().unwrap_or("f32")
    }

    pub(crate) fn engine(&self) -> &str {
        self.engine.as_deref().unwrap_or("torchscript")
    }

    pub(crate) fn min_cosine(&self) -> Result<f64, EngineError> {
        let Some(text) = &self.min_cosine else { return Ok(0.999) };
        text.parse().map_err(|_| EngineError::BadRequest(format!("spark.flambeau.precision.minCosine is '{text}', not a number")))
    }
}

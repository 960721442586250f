//! Options for opening a model.

use flambeau_torch_ext::Device;
use serde::{Deserialize, Deserializer, de};

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
    /// Where the program runs.
    #[serde(deserialize_with = "device")]
    pub device: Device,
}

/// From its name.
fn device<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Device, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
}

impl ModelOptions {
    /// In f32 on the CPU, by libtorch's interpreter, with any `model.toml`: the start for programs without a JVM.
    #[must_use]
    pub fn plain() -> Self {
        Self { hash: None, min_cosine: 0.0, precision: Precision::F32, engine: WantedEngine::Torchscript, device: Device::Cpu }
    }
}

/// What `spark.flambeau.engine` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
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

/// The values of `spark.flambeau.precision`; see [`crate::Package::choose_variant`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Precision {
    F32,
    Bf16,
    F16,
    /// The first variant of a package that the machine can run.
    Fastest,
}

impl Precision {
    /// The name in the setting, and in variants except for [`Self::Fastest`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Bf16 => "bf16",
            Self::F16 => "f16",
            Self::Fastest => "fastest",
        }
    }
}

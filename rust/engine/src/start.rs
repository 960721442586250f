//! How a process starts.

use serde::Deserialize;

/// The settings that the JVM sends once, before anything else, as JSON.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StartSpec {
    /// Of one forward pass.
    pub intra_op_threads: usize,
    /// That prepare rows.
    pub decode_threads: usize,
    /// Of models that no session holds.
    pub idle_model_bytes: u64,
    /// Whether machine code of packages may run.
    pub machine_code: bool,
    /// Where choices of engines are saved.
    pub choices_folder: String,
    /// `error`, `warn`, `info`, `debug` or `trace`.
    pub log_level: String,
}

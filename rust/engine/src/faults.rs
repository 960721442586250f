//! Failures on demand, for tests. Nothing here runs unless `spark.flambeau.internal.fault` is set.

use serde::Deserialize;
use tch::{Device, Kind, Tensor};

use crate::EngineError;

/// Where a session must fail: in its first forward pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A Rust panic.
    Panic,
    /// A C++ exception of libtorch.
    Torch,
    /// An allocation that libtorch cannot make.
    Allocation,
}

impl Fault {
    /// Fails in the given way.
    ///
    /// # Errors
    /// Always, unless it panics.
    #[expect(clippy::panic, reason = "this is what the fault is for")]
    pub(crate) fn strike(self, model: &str) -> Result<(), EngineError> {
        let outcome = match self {
            Self::Panic => panic!("injected panic"),
            Self::Torch => Tensor::f_zeros([2, 3], (Kind::Float, Device::Cpu)).and_then(|t| t.f_view([7])),
            Self::Allocation => Tensor::f_zeros([1_i64 << 50], (Kind::Float, Device::Cpu)),
        };
        outcome.map(drop).map_err(|error| EngineError::torch(model, error))
    }
}

//! A TorchScript program with the kernels of oneDNN: see [`FusedModule`].
//!
//! A plan takes memory for its kernels and for a copy of the weights of its convolutions in oneDNN's layout: for
//! EfficientNet-Lite0 (18 MB of weights) about 40 MB. There are at most [`super::shapes`]' plans of a model. Packed products have
//! no plans, and their packed weights replace the plain ones.

use flambeau_torch_ext::{FusedModule, Outputs, ScriptModule, TorchError};
use tch::Tensor;

use super::{Engine, EngineName, Wanted};

#[derive(Debug)]
pub(super) struct FusedEngine {
    module: FusedModule,
    parameter_bytes: u64,
    inputs: usize,
}

impl FusedEngine {
    /// # Errors
    /// The program has nothing that oneDNN makes faster, or this processor cannot run its kernels.
    pub(super) fn new(script: &ScriptModule) -> Result<Self, TorchError> {
        let module = FusedModule::new(script)?;
        if module.packed_products() == 0 && !module.convolves() {
            return Err(TorchError::Failed("it has neither convolutions nor products by constant weights".into()));
        }
        Ok(Self { module, parameter_bytes: script.parameter_bytes(), inputs: script.inputs() })
    }
}

impl Engine for FusedEngine {
    fn name(&self) -> EngineName {
        EngineName::Fused
    }

    fn parameter_bytes(&self) -> u64 {
        self.parameter_bytes
    }

    fn inputs(&self) -> usize {
        self.inputs
    }

    fn forward(&self, inputs: &[Tensor], wanted: Wanted) -> Result<Outputs, TorchError> {
        self.module.forward(inputs, wanted.0)
    }

    fn has_plans(&self) -> bool {
        self.module.convolves()
    }

    fn plan(&self, inputs: &[Tensor]) -> Result<(), TorchError> {
        self.module.plan(inputs)
    }
}

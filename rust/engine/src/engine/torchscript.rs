//! A TorchScript program as libtorch's interpreter runs it.

use flambeau_torch_ext::{Outputs, ScriptModule, TorchError};
use tch::Tensor;

use super::{Engine, EngineName, Wanted};

#[derive(Debug)]
pub(super) struct TorchscriptEngine {
    module: ScriptModule,
}

impl TorchscriptEngine {
    pub(super) fn new(module: ScriptModule) -> Self {
        Self { module }
    }

    pub(super) fn module(&self) -> &ScriptModule {
        &self.module
    }
}

impl Engine for TorchscriptEngine {
    fn name(&self) -> EngineName {
        EngineName::Torchscript
    }

    fn parameter_bytes(&self) -> u64 {
        self.module.parameter_bytes()
    }

    fn inputs(&self) -> usize {
        self.module.inputs()
    }

    fn forward(&self, inputs: &[Tensor], _wanted: Wanted) -> Result<Outputs, TorchError> {
        self.module.forward(inputs)
    }
}

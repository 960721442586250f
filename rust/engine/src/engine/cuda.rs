//! A TorchScript program on a CUDA device, as libtorch's interpreter runs it.
//!
//! The weights are on the device once, whatever the number of tasks. Each task has a stream of its own there and is at most two
//! passes ahead of it ([`flambeau_torch_ext::Device`]), so that one task prepares rows while the device computes for it or for
//! others. Outputs stay on the device until the batch is complete.

use flambeau_torch_ext::{Device, Outputs, ScriptModule, TorchError};
use tch::Tensor;

use super::{Engine, EngineName, Wanted};

#[derive(Debug)]
pub(super) struct CudaEngine {
    module: ScriptModule,
    device: Device,
}

impl CudaEngine {
    /// For a program that was loaded onto `device`.
    pub(super) fn new(module: ScriptModule, device: Device) -> Self {
        Self { module, device }
    }
}

impl Engine for CudaEngine {
    fn name(&self) -> EngineName {
        EngineName::Cuda
    }

    fn device(&self) -> Device {
        self.device
    }

    fn parameter_bytes(&self) -> u64 {
        self.module.parameter_bytes()
    }

    fn inputs(&self) -> usize {
        self.module.inputs()
    }

    fn forward(&self, inputs: &[Tensor], _wanted: Wanted) -> Result<Outputs, TorchError> {
        self.module.forward_on_device(inputs)
    }
}

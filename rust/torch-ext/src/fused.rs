//! A TorchScript program with the kernels of oneDNN; see `rust/torch-cpp/fused.cpp`.

use std::ffi::c_void;
use std::ptr::NonNull;

use tch::Tensor;

use crate::module::forward_by;
use crate::{Outputs, ScriptModule, TorchError, error, ffi, process};

/// Products with packed weights for inputs of any shape, and plans for a few fixed shapes.
#[derive(Debug)]
pub struct FusedModule {
    raw: NonNull<c_void>,
}

// SAFETY: the C++ object is not bound to the thread that made it.
unsafe impl Send for FusedModule {}
// SAFETY: plans are added and found under a lock; running one is as for `ScriptModule`. A test runs `forward` from many threads
// at once, beginning with their first pass, and compares the results.
unsafe impl Sync for FusedModule {}

impl FusedModule {
    /// From a program that is loaded onto the CPU. `module` may be dropped afterwards, which frees its copy of the packed weights.
    ///
    /// # Errors
    /// This processor cannot run oneDNN's kernels for the program's element type.
    pub fn new(module: &ScriptModule) -> Result<Self, TorchError> {
        let mut failure = ffi::FlbError::none();
        // SAFETY: `module` is live, `failure` is writable.
        let raw = unsafe { ffi::flb_fused_new(module.as_ptr(), &raw mut failure) };
        error::take(failure)?;
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| TorchError::Failed("no program was made".into()))
    }

    /// Whether the program has convolutions: a plan for a fixed shape makes them faster.
    #[must_use]
    pub fn convolves(&self) -> bool {
        // SAFETY: `raw` is live.
        unsafe { ffi::flb_fused_convolves(self.raw.as_ptr()) }
    }

    /// How many products have packed weights.
    #[must_use]
    pub fn packed_products(&self) -> usize {
        // SAFETY: `raw` is live.
        let packed = unsafe { ffi::flb_fused_packed(self.raw.as_ptr()) };
        usize::try_from(packed).unwrap_or(0)
    }

    /// Makes the plan for inputs of these sizes and strides, whose values do not matter. It runs the program three times and
    /// keeps a packed copy of the weights of its convolutions. Plans are never dropped.
    ///
    /// # Errors
    /// Whatever the program raises.
    pub fn plan(&self, inputs: &[Tensor]) -> Result<(), TorchError> {
        let pointers: Vec<_> = inputs.iter().map(Tensor::as_ptr).collect();
        let count = i32::try_from(pointers.len()).unwrap_or(i32::MAX);
        let mut failure = ffi::FlbError::none();
        process::on_deep_stack(|| {
            // SAFETY: `raw` is live, `pointers` holds `count` live tensors, `failure` is writable.
            unsafe { ffi::flb_fused_plan(self.raw.as_ptr(), pointers.as_ptr(), count, &raw mut failure) }
        })?;
        error::take(failure)
    }

    /// One forward pass, without autograd. Inputs are borrowed; those of a shape without a plan run without one. An output whose bit
    /// in `wanted` is 0 may be undefined: what is computed from other outputs only is left out. From the 65th on, all are wanted.
    ///
    /// # Errors
    /// Whatever the program or an operator raises; see [`TorchError`].
    pub fn forward(&self, inputs: &[Tensor], wanted: u64) -> Result<Outputs, TorchError> {
        forward_by(inputs, |tensors, count, failure| {
            // SAFETY: `raw` is live, `tensors` holds `count` live tensors, `failure` is writable.
            unsafe { ffi::flb_fused_forward(self.raw.as_ptr(), tensors, count, wanted, failure) }
        })
    }
}

impl Drop for FusedModule {
    fn drop(&mut self) {
        // SAFETY: `raw` came from flb_fused_new and is freed once, here.
        unsafe { ffi::flb_fused_free(self.raw.as_ptr()) };
    }
}

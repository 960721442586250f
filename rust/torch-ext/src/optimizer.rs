//! `torch::optim` over one flat vector of parameters, so that the numbers are PyTorch's.

use std::ffi::c_void;
use std::ptr::NonNull;

use tch::Tensor;

use crate::{TorchError, error, ffi};

/// Which optimizer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum OptimizerKind {
    /// Stochastic gradient descent, with momentum if it is not 0.
    Sgd = 0,
    /// Adam; weight decay is added to the gradient.
    Adam = 1,
    /// Adam with decoupled weight decay.
    AdamW = 2,
    /// RMSprop.
    RmsProp = 3,
}

/// Settings, as in `rust/torch-cpp/optimizer.cpp`; each optimizer reads those that it has. The names are PyTorch's.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
#[expect(missing_docs, reason = "the names are PyTorch's")]
pub struct OptimizerOptions {
    pub kind: OptimizerKind,
    pub lr: f64,
    pub momentum: f64,
    pub nesterov: bool,
    pub beta1: f64,
    pub beta2: f64,
    pub eps: f64,
    pub alpha: f64,
    pub weight_decay: f64,
}

/// An optimizer and its state. It changes `values` in place, by the contents of `gradients` at the time of a step.
#[derive(Debug)]
pub struct Optimizer {
    raw: NonNull<c_void>,
}

// SAFETY: the C++ optimizer is not bound to the thread that made it.
unsafe impl Send for Optimizer {}

impl Optimizer {
    /// For `values` and `gradients`: two 1-d f32 tensors of equal length, which are shared, not copied.
    ///
    /// # Errors
    /// Settings that PyTorch rejects, such as Nesterov without momentum.
    pub fn new(options: &OptimizerOptions, values: &Tensor, gradients: &Tensor) -> Result<Self, TorchError> {
        let mut failure = ffi::FlbError::none();
        // SAFETY: the options, both tensors and `failure` live through the call; the C++ side keeps references of its own.
        let raw = unsafe { ffi::flb_optimizer_new(options, values.as_ptr(), gradients.as_ptr(), &raw mut failure) };
        error::take(failure)?;
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| TorchError::Failed("no optimizer was made".into()))
    }

    /// One step with this learning rate.
    ///
    /// # Errors
    /// See [`TorchError`].
    pub fn step(&mut self, lr: f64) -> Result<(), TorchError> {
        let mut failure = ffi::FlbError::none();
        // SAFETY: `raw` is live and ours alone.
        unsafe { ffi::flb_optimizer_step(self.raw.as_ptr(), lr, &raw mut failure) };
        error::take(failure)
    }

    /// The state (moments, step counts) as an archive of `torch::save`.
    ///
    /// # Errors
    /// See [`TorchError`].
    pub fn save(&self) -> Result<Vec<u8>, TorchError> {
        let mut failure = ffi::FlbError::none();
        let mut length = 0_i64;
        // SAFETY: `raw` is live; `length` and `failure` are writable.
        let bytes = unsafe { ffi::flb_optimizer_save(self.raw.as_ptr(), &raw mut length, &raw mut failure) };
        error::take(failure)?;
        if bytes.is_null() {
            return Err(TorchError::Failed("the optimizer gave no state".into()));
        }
        // SAFETY: without a failure the call returns `length` bytes that are ours.
        let copy = unsafe { std::slice::from_raw_parts(bytes, usize::try_from(length).unwrap_or(0)) }.to_vec();
        // SAFETY: the same bytes, freed once, not used after.
        unsafe { ffi::flb_free_bytes(bytes) };
        Ok(copy)
    }

    /// Loads a state that [`Optimizer::save`] returned, of an optimizer of this kind with the same number of values.
    ///
    /// # Errors
    /// The bytes are not such a state.
    pub fn load(&mut self, bytes: &[u8]) -> Result<(), TorchError> {
        let mut failure = ffi::FlbError::none();
        let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        // SAFETY: `bytes` holds `length` bytes and lives through the call.
        unsafe { ffi::flb_optimizer_load(self.raw.as_ptr(), bytes.as_ptr(), length, &raw mut failure) };
        error::take(failure)
    }
}

impl Drop for Optimizer {
    fn drop(&mut self) {
        // SAFETY: `raw` came from flb_optimizer_new and is freed once, here.
        unsafe { ffi::flb_optimizer_free(self.raw.as_ptr()) };
    }
}

//! PyTorch's random numbers from a separate generator: all threads share the default one.

use std::ffi::c_void;
use std::ptr::NonNull;

use tch::Tensor;

use crate::{TorchError, error, ffi};

/// Gives the same numbers as `torch.manual_seed(seed)` and the same draws.
#[derive(Debug)]
pub struct Generator {
    raw: NonNull<c_void>,
}

impl Generator {
    /// Seeded.
    ///
    /// # Errors
    /// See [`TorchError`].
    pub fn new(seed: u64) -> Result<Self, TorchError> {
        let mut failure = ffi::FlbError::none();
        // SAFETY: `failure` is writable.
        let raw = unsafe { ffi::flb_generator_new(seed, &raw mut failure) };
        error::take(failure)?;
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| TorchError::Failed("no generator was made".into()))
    }

    /// Fills `tensor` with uniform numbers between `-bound` and `bound`.
    ///
    /// # Errors
    /// A tensor that is not of floats.
    pub fn uniform(&mut self, tensor: &Tensor, bound: f64) -> Result<(), TorchError> {
        let mut failure = ffi::FlbError::none();
        // SAFETY: generator and tensor are live, `failure` writable.
        unsafe { ffi::flb_generator_uniform(self.raw.as_ptr(), tensor.as_ptr(), bound, &raw mut failure) };
        error::take(failure)
    }
}

impl Drop for Generator {
    fn drop(&mut self) {
        // SAFETY: `raw` came from flb_generator_new and is freed once, here.
        unsafe { ffi::flb_generator_free(self.raw.as_ptr()) };
    }
}

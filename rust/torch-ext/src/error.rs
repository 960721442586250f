//! Errors of libtorch, as data.

use std::ffi::CStr;

use crate::ffi;

/// A C++ failure inside libtorch. Messages come without C++ backtraces.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TorchError {
    /// An operator, the TorchScript interpreter or the loader failed.
    #[error("{0}")]
    Failed(String),
    /// A tensor could not be allocated.
    #[error("{0}")]
    OutOfMemory(String),
    /// A GPU is absent or failed. After a failure the process cannot use it any more.
    #[error("{0}")]
    Device(String),
    /// A path that cannot be passed to C (it holds a NUL byte or is not UTF-8).
    #[error("{0} is not a usable path")]
    BadPath(String),
}

impl TorchError {
    /// Classifies a message of libtorch: its CPU allocator reports a failed allocation as an ordinary error, and so do the
    /// libraries of a GPU, so only here the text decides.
    #[must_use]
    pub fn from_message(message: String) -> Self {
        let message = without_backtrace(message);
        let refused = ["DefaultCPUAllocator", "CUDA out of memory", "not enough memory: you tried to allocate"];
        let device = ["CUDA error:", "cuDNN error:", "CUDA driver error:"];
        let has = |marks: &[&str]| marks.iter().any(|mark| message.contains(mark));
        if has(&refused) {
            Self::OutOfMemory(message)
        } else if has(&device) {
            Self::Device(message)
        } else {
            Self::Failed(message)
        }
    }
}

impl From<tch::TchError> for TorchError {
    fn from(error: tch::TchError) -> Self {
        match error {
            tch::TchError::Torch(message) => Self::from_message(message),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// Cuts the text after the message: a C++ backtrace with paths of libtorch's build machine.
fn without_backtrace(mut message: String) -> String {
    for mark in ["Exception raised from", "C++ CapturedTraceback"] {
        if let Some(at) = message.find(mark) {
            message.truncate(at);
        }
    }
    message.truncate(message.trim_end().len());
    message
}

/// Takes the error of a C call: `Ok` if there is none.
pub(crate) fn take(error: ffi::FlbError) -> Result<(), TorchError> {
    if error.kind == 0 {
        return Ok(());
    }
    let message = if error.message.is_null() {
        String::new()
    } else {
        // SAFETY: a non-null message is a NUL-terminated string from strdup that has no other owner.
        let text = unsafe { CStr::from_ptr(error.message) }.to_string_lossy().into_owned();
        // SAFETY: the same string, freed once, not used after.
        unsafe { ffi::flb_free_message(error.message) };
        text
    };
    Err(match error.kind {
        2 => TorchError::OutOfMemory(message),
        3 => TorchError::Device(message),
        _ => TorchError::from_message(message),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_allocation_is_told_from_other_failures() {
        let refused = tch::Tensor::f_zeros([1_i64 << 50], (tch::Kind::Float, tch::Device::Cpu)).unwrap_err();
        assert!(matches!(TorchError::from(refused), TorchError::OutOfMemory(_)));
        let shapes = tch::Tensor::f_zeros([2, 3], (tch::Kind::Float, tch::Device::Cpu)).unwrap().f_view([7]).unwrap_err();
        assert!(matches!(TorchError::from(shapes), TorchError::Failed(_)));
    }

    #[test]
    fn a_failure_of_a_gpu_is_no_failure_of_a_row() {
        let asserted = "CUDA error: device-side assert triggered\nCUDA kernel errors might be asynchronously reported";
        assert!(matches!(TorchError::from_message(asserted.into()), TorchError::Device(_)));
        let memory = "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.10 GiB";
        assert!(matches!(TorchError::from_message(memory.into()), TorchError::OutOfMemory(_)));
    }

    #[test]
    fn messages_come_without_the_backtrace() {
        let message = "shape '[7]' is invalid\nException raised from view at /build/x.cpp:7 (most recent call first):\nframe #0";
        assert_eq!(TorchError::from_message(message.into()), TorchError::Failed("shape '[7]' is invalid".into()));
    }
}

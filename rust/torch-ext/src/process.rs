//! Settings of the whole process. Each is made once, before libtorch is first used; the caller sees to that.

use crate::{TorchError, error, ffi};

/// Threads that one operator may use, on every thread that calls libtorch; operators of one graph run one after another.
///
/// # Errors
/// If libtorch has already started its pools.
pub fn set_intra_op_threads(threads: usize) -> Result<(), TorchError> {
    let mut failure = ffi::FlbError::none();
    let count = i32::try_from(threads).unwrap_or(i32::MAX);
    // SAFETY: `failure` is a live, writable struct for the length of the call.
    unsafe { ffi::flb_set_threads(count, &raw mut failure) };
    error::take(failure)
}

/// Makes the calling thread keep to that number; cheap after a thread's first call. Modules do it by themselves.
pub fn keep_to_threads() {
    // SAFETY: the call has no preconditions.
    unsafe { ffi::flb_apply_threads() };
}

/// Keeps big tensors inside the heap between forward passes instead of mapping and unmapping them each time.
pub fn tune_malloc() {
    // SAFETY: mallopt has no preconditions.
    unsafe { ffi::flb_tune_malloc() };
}

/// The libtorch that is loaded, e.g. `2.13.0`.
#[must_use]
pub fn libtorch_version() -> String {
    // SAFETY: the call returns a string literal of the C++ side.
    let version = unsafe { ffi::flb_libtorch_version() };
    // SAFETY: literals are NUL-terminated and live for ever.
    unsafe { std::ffi::CStr::from_ptr(version) }.to_string_lossy().into_owned()
}

//! Settings of the whole process. The caller must set each once, before libtorch is first used.

use std::sync::atomic::{AtomicUsize, Ordering};

use crate::{TorchError, error, ffi};

static INTRA_OP: AtomicUsize = AtomicUsize::new(1);

/// Threads of one forward pass.
#[must_use]
pub fn intra_op_threads() -> usize {
    INTRA_OP.load(Ordering::Relaxed)
}

/// Threads that one operator may use, on every thread that calls libtorch; operators of one graph run one after another.
///
/// # Errors
/// If libtorch has already started its pools.
pub fn set_intra_op_threads(threads: usize) -> Result<(), TorchError> {
    let mut failure = ffi::FlbError::none();
    INTRA_OP.store(threads.max(1), Ordering::Relaxed);
    let count = i32::try_from(threads).unwrap_or(i32::MAX);
    // SAFETY: `failure` is a live, writable struct for the length of the call.
    unsafe { ffi::flb_set_threads(count, &raw mut failure) };
    error::take(failure)
}

/// Sets that number for the calling thread; cheap after a thread's first call. Modules call it themselves.
pub fn keep_to_threads() {
    // SAFETY: the call has no preconditions.
    unsafe { ffi::flb_apply_threads() };
}

/// Keeps big tensors inside the heap between forward passes instead of mapping and unmapping them each time.
pub fn tune_malloc() {
    // SAFETY: mallopt has no preconditions.
    unsafe { ffi::flb_tune_malloc() };
}

/// Rejects tensors of 256 MiB and more if the machine or this process's container has not enough memory.
pub fn bound_allocations() {
    // SAFETY: the call has no preconditions.
    unsafe { ffi::flb_bound_allocations() };
}

/// Makes integer divisions without a result (the smallest integer by -1, any by zero) errors of their program; libtorch would end
/// the process. Other signals go to the previous handler.
///
/// # Errors
/// If the system does not allow it.
pub fn handle_traps() -> Result<(), TorchError> {
    let mut failure = ffi::FlbError::none();
    // SAFETY: `failure` is a live, writable struct for the length of the call.
    unsafe { ffi::flb_handle_traps(&raw mut failure) };
    error::take(failure)
}

/// Makes torchvision's `nms` and `roi_align` known to programs, which its detectors call. Later calls do nothing.
///
/// # Errors
/// If libtorch refuses them.
pub fn register_vision_operators() -> Result<(), TorchError> {
    let mut failure = ffi::FlbError::none();
    // SAFETY: `failure` is a live, writable struct for the length of the call.
    unsafe { ffi::flb_register_vision(&raw mut failure) };
    error::take(failure)
}

/// Stack of a program that runs. libtorch's graph passes recurse along chains of operators: 3,000 of them overflow the 1 MiB
/// that the JVM gives a task's thread, 20,000 fit here.
const STACK_BYTES: usize = 64 << 20;

/// Runs `work` on the calling thread with a stack large enough for any program that passed the checks. It must not call the JVM.
///
/// # Errors
/// If the process's address space is limited and nearly used up: libtorch would end the process in `work`.
pub(crate) fn on_deep_stack<R>(work: impl FnOnce() -> R) -> Result<R, TorchError> {
    let mut failure = ffi::FlbError::none();
    // SAFETY: `failure` is a live, writable struct for the length of the call.
    unsafe { ffi::flb_require_address_space(&raw mut failure) };
    error::take(failure)?;
    Ok(stacker::grow(STACK_BYTES, work))
}

/// Bytes that are still available on the machine and in this process's container; `u64::MAX` if neither is known.
#[must_use]
pub fn available_bytes() -> u64 {
    // SAFETY: the call has no preconditions.
    unsafe { ffi::flb_available_bytes() }
}

/// Returns unused memory to the system.
pub fn trim_memory() {
    // SAFETY: malloc_trim has no preconditions.
    unsafe { ffi::flb_trim_memory() };
}

/// The libtorch that is loaded, e.g. `2.13.0`.
#[must_use]
pub fn libtorch_version() -> String {
    // SAFETY: the call returns a string literal of the C++ side.
    let version = unsafe { ffi::flb_libtorch_version() };
    // SAFETY: literals are NUL-terminated and live forever.
    unsafe { std::ffi::CStr::from_ptr(version) }.to_string_lossy().into_owned()
}

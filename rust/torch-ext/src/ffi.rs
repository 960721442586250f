//! Declarations of the C functions in `cpp/`. Nothing here is public.

use std::ffi::{c_char, c_void};

use torch_sys::C_tensor;

/// Filled by every C call that can fail.
#[repr(C)]
pub(crate) struct FlbError {
    pub(crate) kind: i32,
    pub(crate) message: *mut c_char,
}

impl FlbError {
    pub(crate) const fn none() -> Self {
        Self { kind: 0, message: std::ptr::null_mut() }
    }
}

unsafe extern "C" {
    pub(crate) fn flb_free_message(message: *mut c_char);
    pub(crate) fn flb_module_load(path: *const c_char, device_index: i32, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_module_free(module: *mut c_void);
    pub(crate) fn flb_module_parameter_bytes(module: *const c_void) -> i64;
    pub(crate) fn flb_module_inputs(module: *const c_void) -> i32;
    pub(crate) fn flb_module_forward(module: *mut c_void, inputs: *const *const C_tensor, count: i32, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_outputs_len(outputs: *const c_void) -> i32;
    pub(crate) fn flb_outputs_name(outputs: *const c_void, i: i32) -> *const c_char;
    pub(crate) fn flb_outputs_tensor(outputs: *const c_void, i: i32, error: *mut FlbError) -> *mut C_tensor;
    pub(crate) fn flb_outputs_free(outputs: *mut c_void);
    pub(crate) fn flb_set_threads(intra_op: i32, error: *mut FlbError);
    pub(crate) fn flb_tune_malloc();
    pub(crate) fn flb_libtorch_version() -> *const c_char;
}

//! Declarations of the C functions in `rust/torch-cpp`. Nothing here is public.

use std::ffi::{c_char, c_void};

use torch_sys::C_tensor;

use crate::OptimizerOptions;

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

/// A board of addresses; see `rust/torch-cpp/group.cpp`.
#[repr(C)]
pub(crate) struct FlbBoard {
    pub(crate) context: *mut c_void,
    pub(crate) put: extern "C" fn(*mut c_void, *const c_char, *const u8, i64) -> bool,
    pub(crate) get: extern "C" fn(*mut c_void, *const c_char, *mut i64) -> *const u8,
}

unsafe extern "C" {
    pub(crate) fn flb_trainable_load(archive: *const c_void, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_trainable_define(
        source: *const c_char,
        names: *const *const c_char,
        parameters: *const *const C_tensor,
        count: i32,
        error: *mut FlbError,
    ) -> *mut c_void;
    pub(crate) fn flb_trainable_free(module: *mut c_void);
    pub(crate) fn flb_trainable_inputs(module: *const c_void) -> i32;
    pub(crate) fn flb_trainable_methods(module: *const c_void, length: *mut i64, error: *mut FlbError) -> *mut u8;
    pub(crate) fn flb_trainable_len(module: *const c_void, buffers: bool) -> i32;
    pub(crate) fn flb_trainable_name(module: *const c_void, buffers: bool, i: i32) -> *const c_char;
    pub(crate) fn flb_trainable_tensor(module: *const c_void, buffers: bool, i: i32, error: *mut FlbError) -> *mut C_tensor;
    pub(crate) fn flb_trainable_set_training(module: *mut c_void, on: bool, error: *mut FlbError);
    pub(crate) fn flb_trainable_channels_last(module: *mut c_void, error: *mut FlbError);
    pub(crate) fn flb_trainable_run(
        module: *mut c_void,
        method: *const c_char,
        inputs: *const *const C_tensor,
        count: i32,
        autograd: bool,
        bf16: bool,
        error: *mut FlbError,
    ) -> *mut c_void;
    pub(crate) fn flb_outputs_attached(outputs: *const c_void, i: i32, error: *mut FlbError) -> *mut C_tensor;
    pub(crate) fn flb_trainable_save(module: *const c_void, path: *const c_char, error: *mut FlbError);
    pub(crate) fn flb_generator_new(seed: u64, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_generator_free(generator: *mut c_void);
    pub(crate) fn flb_generator_uniform(generator: *mut c_void, tensor: *const C_tensor, bound: f64, error: *mut FlbError);
    pub(crate) fn flb_flatten(
        tensors: *const *const C_tensor,
        count: i32,
        values: *const C_tensor,
        gradients: *const C_tensor,
        error: *mut FlbError,
    );
    pub(crate) fn flb_optimizer_new(
        options: *const OptimizerOptions,
        values: *const C_tensor,
        gradients: *const C_tensor,
        error: *mut FlbError,
    ) -> *mut c_void;
    pub(crate) fn flb_optimizer_free(optimizer: *mut c_void);
    pub(crate) fn flb_optimizer_step(optimizer: *mut c_void, lr: f64, error: *mut FlbError);
    pub(crate) fn flb_optimizer_save(optimizer: *const c_void, length: *mut i64, error: *mut FlbError) -> *mut u8;
    pub(crate) fn flb_optimizer_load(optimizer: *mut c_void, bytes: *const u8, length: i64, error: *mut FlbError);
    pub(crate) fn flb_free_bytes(bytes: *mut u8);
    pub(crate) fn flb_group_open(
        board: *const FlbBoard,
        rank: i32,
        world: i32,
        own_host: *const c_char,
        timeout_ms: i64,
        error: *mut FlbError,
    ) -> *mut c_void;
    pub(crate) fn flb_group_free(group: *mut c_void);
    pub(crate) fn flb_group_all_reduce(group: *mut c_void, tensor: *const C_tensor, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_pending_wait(pending: *mut c_void, millis: i64, error: *mut FlbError) -> bool;
    pub(crate) fn flb_pending_free(pending: *mut c_void);
    pub(crate) fn flb_apply_threads();
    pub(crate) fn flb_free_message(message: *mut c_char);
    pub(crate) fn flb_module_load(
        archive: *const c_void,
        head: *const c_void,
        index: i32,
        key: *const c_char,
        device_index: i32,
        error: *mut FlbError,
    ) -> *mut c_void;
    pub(crate) fn flb_module_free(module: *mut c_void);
    pub(crate) fn flb_module_parameter_bytes(module: *const c_void) -> i64;
    pub(crate) fn flb_module_inputs(module: *const c_void) -> i32;
    pub(crate) fn flb_module_forward(module: *mut c_void, inputs: *const *const C_tensor, count: i32, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_fused_new(module: *const c_void, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_fused_free(fused: *mut c_void);
    pub(crate) fn flb_fused_convolves(fused: *const c_void) -> bool;
    pub(crate) fn flb_fused_packed(fused: *const c_void) -> i32;
    pub(crate) fn flb_fused_plan(fused: *mut c_void, inputs: *const *const C_tensor, count: i32, error: *mut FlbError);
    pub(crate) fn flb_fused_forward(
        fused: *mut c_void,
        inputs: *const *const C_tensor,
        count: i32,
        wanted: u64,
        error: *mut FlbError,
    ) -> *mut c_void;
    pub(crate) fn flb_outputs_len(outputs: *const c_void) -> i32;
    pub(crate) fn flb_outputs_name(outputs: *const c_void, i: i32) -> *const c_char;
    pub(crate) fn flb_outputs_tensor(outputs: *const c_void, i: i32, error: *mut FlbError) -> *mut C_tensor;
    pub(crate) fn flb_outputs_free(outputs: *mut c_void);
    pub(crate) fn flb_aot_load(library: *const c_char, runners: i32, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_aot_free(program: *mut c_void);
    pub(crate) fn flb_aot_forward(program: *mut c_void, inputs: *const *const C_tensor, count: i32, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_device_check(index: i32, error: *mut FlbError);
    pub(crate) fn flb_device_enter(index: i32, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_device_leave(on_device: *mut c_void);
    pub(crate) fn flb_device_forward(module: *mut c_void, inputs: *const *const C_tensor, count: i32, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_device_memory(index: i32, now_bytes: *mut i64, peak_bytes: *mut i64, error: *mut FlbError);
    pub(crate) fn flb_tensor_is_alone(tensor: *const C_tensor) -> bool;
    pub(crate) fn flb_set_threads(intra_op: i32, error: *mut FlbError);
    pub(crate) fn flb_tune_malloc();
    pub(crate) fn flb_bound_allocations();
    pub(crate) fn flb_available_bytes() -> u64;
    pub(crate) fn flb_trim_memory();
    pub(crate) fn flb_require_address_space(error: *mut FlbError);
    pub(crate) fn flb_handle_traps(error: *mut FlbError);
    pub(crate) fn flb_register_vision(error: *mut FlbError);
    pub(crate) fn flb_archive_open(fd: i32, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_archive_free(archive: *mut c_void);
    pub(crate) fn flb_archive_len(archive: *const c_void) -> i64;
    pub(crate) fn flb_archive_name(archive: *const c_void, i: i64) -> *const c_char;
    pub(crate) fn flb_archive_record(archive: *mut c_void, i: i64, max_bytes: u64, length: *mut u64, error: *mut FlbError) -> *mut c_void;
    pub(crate) fn flb_record_data(record: *const c_void) -> *const u8;
    pub(crate) fn flb_record_free(record: *mut c_void);
    pub(crate) fn flb_libtorch_version() -> *const c_char;
}

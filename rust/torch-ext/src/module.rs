//! A TorchScript program, ready to run.

use std::ffi::{CStr, c_void};
use std::ptr::NonNull;

use tch::Tensor;

use crate::archive::Records;
use crate::cstring::of_text;
use crate::{Archive, Device, TorchError, error, ffi, process};

/// A TorchScript module: loaded onto one device, in eval mode, frozen, optimized for inference.
#[derive(Debug)]
pub struct ScriptModule {
    raw: NonNull<c_void>,
}

// SAFETY: the C++ module is not bound to the thread that loaded it.
unsafe impl Send for ScriptModule {}
// SAFETY: a frozen module has no mutable state and libtorch's graph executor locks its own plan cache; a test runs
// `forward` from many threads at once and compares the results.
unsafe impl Sync for ScriptModule {}

/// A head: a program that takes one output of the program before it, flattened to rows.
#[derive(Clone, Copy)]
pub struct AttachedHead<'a> {
    /// A TorchScript file.
    pub program: &'a Archive,
    /// The output's index, if the program before it returns several.
    pub index: usize,
    /// The output's name, if it returns a dict.
    pub key: &'a str,
}

impl ScriptModule {
    /// Loads a program, and the head that runs after it, as one program onto a device.
    ///
    /// # Errors
    /// A file is not TorchScript, the programs do not fit, or libtorch cannot run them on this machine.
    pub fn load(program: &Archive, attached: Option<&AttachedHead>, device: Device) -> Result<Self, TorchError> {
        let archives: Vec<&Archive> = std::iter::once(program).chain(attached.map(|head| head.program)).collect();
        Archive::load(&archives, |records| Self::load_here(&records[0], records.get(1), attached, device))
    }

    fn load_here(program: &Records, head: Option<&Records>, attached: Option<&AttachedHead>, device: Device) -> Result<Self, TorchError> {
        let key = attached.map(|head| of_text(head.key)).transpose()?;
        let key = key.as_ref().map_or(std::ptr::null(), |text| text.as_ptr());
        let head = head.map_or(std::ptr::null(), Records::as_ptr);
        let index = attached.map_or(0, |head| i32::try_from(head.index).unwrap_or(i32::MAX));
        let mut failure = ffi::FlbError::none();
        // SAFETY: the archives are live, `key` is NUL-terminated; head and key may both be null. All outlive the call.
        let raw = unsafe { ffi::flb_module_load(program.as_ptr(), head, index, key, device.index(), &raw mut failure) };
        error::take(failure)?;
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| TorchError::Failed("no module was loaded".into()))
    }

    /// Bytes of its parameters and buffers.
    #[must_use]
    pub fn parameter_bytes(&self) -> u64 {
        // SAFETY: `raw` is a live module.
        let bytes = unsafe { ffi::flb_module_parameter_bytes(self.raw.as_ptr()) };
        u64::try_from(bytes).unwrap_or(0)
    }

    /// How many tensors `forward` takes.
    #[must_use]
    pub fn inputs(&self) -> usize {
        // SAFETY: `raw` is a live module.
        let count = unsafe { ffi::flb_module_inputs(self.raw.as_ptr()) };
        usize::try_from(count).unwrap_or(0)
    }

    /// One forward pass, without autograd. Inputs are borrowed.
    ///
    /// # Errors
    /// Whatever the program or an operator raises; see [`TorchError`].
    pub fn forward(&self, inputs: &[Tensor]) -> Result<Outputs, TorchError> {
        forward(self.raw, inputs, ffi::flb_module_forward)
    }

    /// As [`Self::forward`], on the CUDA device that the program was loaded onto and the thread is on ([`Device::enter`]). The
    /// outputs stay there, and may not be computed yet: reading them waits.
    ///
    /// # Errors
    /// Also those of the passes before it.
    pub fn forward_on_device(&self, inputs: &[Tensor]) -> Result<Outputs, TorchError> {
        let raw = run(inputs, |tensors, count, failure| {
            // SAFETY: `raw` is live, `tensors` holds `count` live tensors, `failure` is writable.
            unsafe { ffi::flb_device_forward(self.raw.as_ptr(), tensors, count, failure) }
        })?;
        Outputs::take_attached(raw)
    }

    pub(crate) fn as_ptr(&self) -> *const c_void {
        self.raw.as_ptr()
    }
}

/// A C function that runs a program of its own kind.
pub(crate) type Forward = unsafe extern "C" fn(*mut c_void, *const *const torch_sys::C_tensor, i32, *mut ffi::FlbError) -> *mut c_void;

/// One forward pass of `program`, by `function`, the C function of its kind.
pub(crate) fn forward(program: NonNull<c_void>, inputs: &[Tensor], function: Forward) -> Result<Outputs, TorchError> {
    forward_by(inputs, |tensors, count, failure| {
        // SAFETY: `program` is live and of the kind of `function`, `tensors` holds `count` live tensors, `failure` is writable.
        unsafe { function(program.as_ptr(), tensors, count, failure) }
    })
}

/// One forward pass by `call`, which gets the tensors, their count and where a failure goes.
pub(crate) fn forward_by(
    inputs: &[Tensor],
    call: impl FnOnce(Tensors, i32, *mut ffi::FlbError) -> *mut c_void,
) -> Result<Outputs, TorchError> {
    Outputs::take(&OutputsGuard(run(inputs, call)?))
}

/// The address of an array of live tensors.
pub(crate) type Tensors = *const *const torch_sys::C_tensor;

fn run(inputs: &[Tensor], call: impl FnOnce(Tensors, i32, *mut ffi::FlbError) -> *mut c_void) -> Result<NonNull<c_void>, TorchError> {
    let pointers: Vec<_> = inputs.iter().map(Tensor::as_ptr).collect();
    let count = i32::try_from(pointers.len()).unwrap_or(i32::MAX);
    let mut failure = ffi::FlbError::none();
    let raw = process::on_deep_stack(|| call(pointers.as_ptr(), count, &raw mut failure))?;
    error::take(failure)?;
    NonNull::new(raw).ok_or_else(|| TorchError::Failed("forward returned nothing".into()))
}

impl Drop for ScriptModule {
    fn drop(&mut self) {
        // SAFETY: `raw` came from flb_module_load and is freed once, here.
        unsafe { ffi::flb_module_free(self.raw.as_ptr()) };
    }
}

/// The results of a forward pass: contiguous tensors, on the CPU unless said otherwise, with names if the program returned a dict.
#[derive(Debug)]
pub struct Outputs {
    /// In the program's order. [`crate::FusedModule`] leaves those undefined that are not wanted.
    pub tensors: Vec<Tensor>,
    /// One for each tensor, or none at all.
    pub names: Option<Vec<String>>,
}

impl Outputs {
    fn take(guard: &OutputsGuard) -> Result<Self, TorchError> {
        Self::take_by(guard, ffi::flb_outputs_tensor)
    }

    /// The tensors themselves, with their autograd history.
    pub(crate) fn take_attached(raw: NonNull<c_void>) -> Result<Self, TorchError> {
        Self::take_by(&OutputsGuard(raw), ffi::flb_outputs_attached)
    }

    fn take_by(guard: &OutputsGuard, get: GetOutput) -> Result<Self, TorchError> {
        let raw = guard.0.as_ptr();
        // SAFETY: `raw` is live while the guard is.
        let count = unsafe { ffi::flb_outputs_len(raw) };
        let mut tensors = Vec::new();
        let mut names = Vec::new();
        for i in 0..count {
            let mut failure = ffi::FlbError::none();
            // SAFETY: `i` is below the length of the live `raw`.
            let tensor = unsafe { get(raw, i, &raw mut failure) };
            error::take(failure)?;
            // SAFETY: without a failure the call returns a new tensor that is ours to free.
            tensors.push(unsafe { Tensor::from_ptr(tensor) });
            // SAFETY: `i` is below the length of the live `raw`.
            let name = unsafe { ffi::flb_outputs_name(raw, i) };
            if !name.is_null() {
                // SAFETY: a non-null name is NUL-terminated and lives as long as `raw`.
                names.push(unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned());
            }
        }
        let names = (!names.is_empty() && names.len() == tensors.len()).then_some(names);
        Ok(Self { tensors, names })
    }
}

/// Returns output `i` as a new tensor of ours.
type GetOutput = unsafe extern "C" fn(*const c_void, i32, *mut ffi::FlbError) -> *mut torch_sys::C_tensor;

/// Frees the C++ side of the outputs once the tensors are taken.
struct OutputsGuard(NonNull<c_void>);

impl Drop for OutputsGuard {
    fn drop(&mut self) {
        // SAFETY: the pointer came from flb_module_forward and is freed once, here.
        unsafe { ffi::flb_outputs_free(self.0.as_ptr()) };
    }
}

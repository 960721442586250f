//! A TorchScript module whose parameters change.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::Path;
use std::ptr::NonNull;

use tch::Tensor;

use crate::archive::Records;
use crate::cstring::{of_path, of_text};
use crate::{Archive, Outputs, TorchError, error, ffi, process};

/// A module with its parameters, on the CPU. The tensors that it returns are the module's own: changing them changes it.
#[derive(Debug)]
pub struct Trainable {
    raw: NonNull<c_void>,
}

// SAFETY: the C++ module is not bound to the thread that made it.
unsafe impl Send for Trainable {}

impl Trainable {
    /// Loads an unfrozen TorchScript file.
    ///
    /// # Errors
    /// The file is not TorchScript, or is frozen.
    pub fn load(program: &Archive) -> Result<Self, TorchError> {
        Archive::load(&[program], |records| Self::load_here(&records[0]))
    }

    fn load_here(program: &Records) -> Result<Self, TorchError> {
        let mut failure = ffi::FlbError::none();
        // SAFETY: the archive is live and `failure` writable; both outlive the call.
        let raw = unsafe { ffi::flb_trainable_load(program.as_ptr(), &raw mut failure) };
        Self::made(raw, failure)
    }

    /// Makes a module of parameters and the TorchScript source of its methods, in which `self.name` is a parameter.
    ///
    /// # Errors
    /// Source that does not compile.
    pub fn define(source: &str, parameters: &[(String, Tensor)]) -> Result<Self, TorchError> {
        let source = of_text(source)?;
        let names: Vec<CString> = parameters.iter().map(|(name, _)| of_text(name)).collect::<Result<_, _>>()?;
        let names: Vec<*const c_char> = names.iter().map(|name| name.as_ptr()).collect();
        let tensors: Vec<_> = parameters.iter().map(|(_, tensor)| tensor.as_ptr()).collect();
        let count = i32::try_from(tensors.len()).unwrap_or(i32::MAX);
        let mut failure = ffi::FlbError::none();
        // SAFETY: `names` and `tensors` hold `count` live pointers; the C++ side keeps its own references to the tensors.
        let raw = unsafe { ffi::flb_trainable_define(source.as_ptr(), names.as_ptr(), tensors.as_ptr(), count, &raw mut failure) };
        Self::made(raw, failure)
    }

    fn made(raw: *mut c_void, failure: ffi::FlbError) -> Result<Self, TorchError> {
        error::take(failure)?;
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| TorchError::Failed("no module was made".into()))
    }

    /// How many tensors `forward` takes.
    #[must_use]
    pub fn inputs(&self) -> usize {
        // SAFETY: `raw` is a live module.
        let count = unsafe { ffi::flb_trainable_inputs(self.raw.as_ptr()) };
        usize::try_from(count).unwrap_or(0)
    }

    /// The module's own methods by name, and how many values each takes.
    ///
    /// # Errors
    /// See [`TorchError`].
    pub fn methods(&self) -> Result<Vec<(String, usize)>, TorchError> {
        let mut failure = ffi::FlbError::none();
        let mut length = 0_i64;
        // SAFETY: `raw` is a live module; `length` and `failure` are writable.
        let bytes = unsafe { ffi::flb_trainable_methods(self.raw.as_ptr(), &raw mut length, &raw mut failure) };
        error::take(failure)?;
        // SAFETY: without a failure the call returned `length` bytes, and they are ours.
        let text = String::from_utf8_lossy(unsafe { std::slice::from_raw_parts(bytes, usize::try_from(length).unwrap_or(0)) }).into_owned();
        // SAFETY: the same bytes, freed once, not used after.
        unsafe { ffi::flb_free_bytes(bytes) };
        let one = |line: &str| line.split_once(' ').and_then(|(inputs, name)| Some((name.to_owned(), inputs.parse().ok()?)));
        Ok(text.lines().filter_map(one).collect())
    }

    /// All parameters by name, each tensor once.
    ///
    /// # Errors
    /// See [`TorchError`].
    pub fn parameters(&self) -> Result<Vec<(String, Tensor)>, TorchError> {
        self.named(false)
    }

    /// All buffers by name (running statistics and the like), each tensor once.
    ///
    /// # Errors
    /// See [`TorchError`].
    pub fn buffers(&self) -> Result<Vec<(String, Tensor)>, TorchError> {
        self.named(true)
    }

    fn named(&self, buffers: bool) -> Result<Vec<(String, Tensor)>, TorchError> {
        // SAFETY: `raw` is a live module.
        let count = unsafe { ffi::flb_trainable_len(self.raw.as_ptr(), buffers) };
        let one = |i| {
            // SAFETY: `i` is below the length.
            let name = unsafe { ffi::flb_trainable_name(self.raw.as_ptr(), buffers, i) };
            // SAFETY: the name is NUL-terminated and lives as long as the module.
            let name = unsafe { CStr::from_ptr(name) }.to_string_lossy().into_owned();
            let mut failure = ffi::FlbError::none();
            // SAFETY: `i` is below the length and `failure` writable.
            let tensor = unsafe { ffi::flb_trainable_tensor(self.raw.as_ptr(), buffers, i, &raw mut failure) };
            error::take(failure)?;
            // SAFETY: without a failure the call returns a new reference that is ours to free.
            Ok((name, unsafe { Tensor::from_ptr(tensor) }))
        };
        (0..count).map(one).collect()
    }

    /// Train mode, in which normalization layers whose own parameters are all frozen stay as they are; or eval mode.
    ///
    /// # Errors
    /// See [`TorchError`].
    pub fn set_training(&mut self, on: bool) -> Result<(), TorchError> {
        let mut failure = ffi::FlbError::none();
        // SAFETY: `raw` is live and ours alone.
        unsafe { ffi::flb_trainable_set_training(self.raw.as_ptr(), on, &raw mut failure) };
        error::take(failure)
    }

    /// Puts convolution weights into the layout for channels-last inputs.
    ///
    /// # Errors
    /// See [`TorchError`].
    pub fn channels_last(&mut self) -> Result<(), TorchError> {
        let mut failure = ffi::FlbError::none();
        // SAFETY: `raw` is live and ours alone.
        unsafe { ffi::flb_trainable_channels_last(self.raw.as_ptr(), &raw mut failure) };
        error::take(failure)
    }

    /// Runs `method`; with `autograd` its results can be differentiated, with `bf16` under CPU autocast to bf16.
    ///
    /// # Errors
    /// Whatever the program or an operator raises.
    pub fn run(&mut self, method: &str, inputs: &[Tensor], autograd: bool, bf16: bool) -> Result<Outputs, TorchError> {
        let method = of_text(method)?;
        let pointers: Vec<_> = inputs.iter().map(|tensor| tensor.as_ptr()).collect();
        let count = i32::try_from(pointers.len()).unwrap_or(i32::MAX);
        let mut failure = ffi::FlbError::none();
        let raw = self.raw.as_ptr();
        let raw = process::on_deep_stack(|| {
            // SAFETY: `raw` is live and ours alone, `pointers` holds `count` live tensors.
            unsafe { ffi::flb_trainable_run(raw, method.as_ptr(), pointers.as_ptr(), count, autograd, bf16, &raw mut failure) }
        })?;
        error::take(failure)?;
        Outputs::take_attached(NonNull::new(raw).ok_or_else(|| TorchError::Failed("the program returned nothing".into()))?)
    }

    /// Writes the module in eval mode, ready for inference.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TorchError> {
        let path = of_path(path)?;
        let mut failure = ffi::FlbError::none();
        // SAFETY: `raw` is live, `path` NUL-terminated, `failure` writable.
        unsafe { ffi::flb_trainable_save(self.raw.as_ptr(), path.as_ptr(), &raw mut failure) };
        error::take(failure)
    }
}

impl Drop for Trainable {
    fn drop(&mut self) {
        // SAFETY: `raw` came from one of the two constructors and is freed once, here.
        unsafe { ffi::flb_trainable_free(self.raw.as_ptr()) };
    }
}

/// Parameters one after another, and room for their gradients. Both 1-d, f32.
#[derive(Debug)]
pub struct Flat {
    /// The parameters are views of this.
    pub values: Tensor,
    /// Their gradients are views of this; more elements may follow.
    pub gradients: Tensor,
}

/// Moves the parameters into one new vector. Backward passes then add to one vector of gradients, followed by `extra` elements.
///
/// # Errors
/// A parameter that is not f32.
pub fn flatten(parameters: &[Tensor], extra: usize) -> Result<Flat, TorchError> {
    let count: usize = parameters.iter().map(Tensor::numel).sum();
    let zeros = |length: usize| Tensor::f_zeros([length as i64], (tch::Kind::Float, tch::Device::Cpu));
    let flat = Flat { values: zeros(count)?, gradients: zeros(count + extra)? };
    flatten_into(parameters, &flat)?;
    Ok(flat)
}

/// The same into existing vectors, which may be longer.
///
/// # Errors
/// A parameter that is not f32, or vectors that are too short.
pub fn flatten_into(parameters: &[Tensor], flat: &Flat) -> Result<(), TorchError> {
    let pointers: Vec<_> = parameters.iter().map(|tensor| tensor.as_ptr()).collect();
    let count = i32::try_from(pointers.len()).unwrap_or(i32::MAX);
    let mut failure = ffi::FlbError::none();
    let (values, gradients) = (flat.values.as_ptr(), flat.gradients.as_ptr());
    // SAFETY: `pointers` holds `count` live tensors; both vectors and `failure` live through the call.
    unsafe { ffi::flb_flatten(pointers.as_ptr(), count, values, gradients, &raw mut failure) };
    error::take(failure)
}

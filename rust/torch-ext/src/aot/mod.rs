//! A program that AOTInductor compiled ahead of time, ready to run.
//!
//! A `.pt2` file is an archive with a shared library in it: machine code that libtorch opens and runs in this process. The code
//! does not check its tensors. So the file also says what it takes (record `extra/flambeau_inputs`, written by `flambeau.export`), and
//! every batch is compared with that first ([`inputs`]). The library is unpacked to a private folder ([`unpack`]), opened, and
//! removed; the system keeps what is open.
//!
//! Ownership: an [`AotModule`] owns the runner, which owns the opened library and one copy of the weights. Threads share it.

mod inputs;
mod unpack;

use std::ffi::c_void;
use std::path::Path;
use std::ptr::NonNull;

use tch::Tensor;

use crate::archive::Records;
use crate::cstring::of_path;
use crate::module::forward;
use crate::{Archive, Outputs, TorchError, error, ffi};
use inputs::Expected;

/// Compiled code with its weights.
#[derive(Debug)]
pub struct AotModule {
    raw: NonNull<c_void>,
    inputs: Vec<Expected>,
    library_bytes: u64,
}

// SAFETY: the runner is not bound to the thread that loaded it.
unsafe impl Send for AotModule {}
// SAFETY: the runner gives each call a state of its own under a lock, and weights are only read; a test runs `forward` from
// many threads at once and compares the results.
unsafe impl Sync for AotModule {}

impl AotModule {
    /// Loads the code, which `runners` threads can run at once; others wait. `folder` is where the library lies
    /// while it is opened: private to this user, and on a file system that may hold code.
    ///
    /// # Errors
    /// The file was not made by `flambeau.export`, or the system cannot open its library.
    pub fn load(program: &Archive, runners: usize, folder: &Path) -> Result<Self, TorchError> {
        Archive::load(&[program], |records| Self::load_here(&records[0], runners, folder))
    }

    fn load_here(records: &Records, runners: usize, folder: &Path) -> Result<Self, TorchError> {
        let inputs = inputs::parse(&unpack::inputs(records)?)?;
        let unpacked = unpack::Library::unpack(records, folder)?;
        let path = of_path(&unpacked.path)?;
        let count = i32::try_from(runners.max(1)).unwrap_or(i32::MAX);
        let mut failure = ffi::FlbError::none();
        // SAFETY: `path` is NUL-terminated and `failure` writable; both outlive the call.
        let raw = unsafe { ffi::flb_aot_load(path.as_ptr(), count, &raw mut failure) };
        error::take(failure)?;
        let raw = NonNull::new(raw).ok_or_else(|| TorchError::Failed("no library was loaded".into()))?;
        Ok(Self { raw, inputs, library_bytes: unpacked.bytes })
    }

    /// Bytes of its code and weights.
    #[must_use]
    pub fn parameter_bytes(&self) -> u64 {
        self.library_bytes
    }

    /// How many tensors `forward` takes.
    #[must_use]
    pub fn inputs(&self) -> usize {
        self.inputs.len()
    }

    /// One forward pass. Inputs are borrowed.
    ///
    /// # Errors
    /// Tensors of other types or sizes than the code was compiled for, or whatever an operator raises.
    pub fn forward(&self, inputs: &[Tensor]) -> Result<Outputs, TorchError> {
        let given = inputs::checked(&self.inputs, inputs)?;
        forward(self.raw, &given, ffi::flb_aot_forward)
    }
}

impl Drop for AotModule {
    fn drop(&mut self) {
        // SAFETY: `raw` came from flb_aot_load and is freed once, here.
        unsafe { ffi::flb_aot_free(self.raw.as_ptr()) };
    }
}

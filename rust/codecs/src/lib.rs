//! The C decoders that Pillow itself uses, behind calls that are safe: libjpeg-turbo (with SIMD), libtiff, libwebp.
//!
//! **What lives here.** [`jpeg`], [`tiff`] and [`webp`] turn bytes into samples. They know nothing of models, limits or
//! colors beyond what the library itself converts; that is the engine's `prepare::image`. The same library means the same pixels as
//! Pillow's, damaged files included.
//!
//! **Where the libraries come from.** `libraries-….txt` list them with their hashes, an architecture each; `build.rs` finds them in the Pillow wheel of
//! the checkout's Python and links them; the jar carries them beside the cdylib, which finds them by `$ORIGIN`.
//!
//! **Who owns what.** A handle borrows the file's bytes and owns the library's state, which its `Drop` frees. Pixels go to the
//! caller's buffer. Handles are neither `Send` nor `Sync`; there is no global state, so any thread may make one.
//!
//! **Errors.** No library prints, exits or unwinds: libjpeg's error exit jumps back within one C call (`c/jpeg.c`), libtiff's errors
//! go to the handle (`c/tiff.c`), libwebp returns codes.

pub mod jpeg;
pub mod tiff;
pub mod webp;

use std::ffi::{CStr, c_char};

use thiserror::Error;

/// Why a library gave no pixels.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    /// The file is damaged, or of a kind that the library does not read; in the library's words.
    #[error("{0}")]
    Broken(String),
    /// The bytes end before the picture does.
    #[error("the file is cut off")]
    Cut,
    /// There was no memory for the library's own state.
    #[error("out of memory")]
    OutOfMemory,
}

/// The text at `message`, which the library ended with a zero byte.
///
/// # Safety
/// `message` points to such a text, which nobody changes during the call.
unsafe fn text(message: *const c_char) -> String {
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(message) };
    text.to_string_lossy().into_owned()
}

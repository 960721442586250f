//! The C decoders that Pillow itself uses, behind calls that are safe: libjpeg-turbo (with SIMD), libtiff, libwebp.
//!
//! **What lives here.** [`jpeg`], [`tiff`] and [`webp`] turn bytes into samples. They do not know models or limits, and convert
//! colors only as the library itself does; the engine's `prepare::image` does the rest. The same library gives the same pixels as
//! Pillow, for damaged files too.
//!
//! **Where the libraries come from.** `libraries-….txt` lists them with their hashes, one file per architecture. `build.rs` finds
//! them in the Pillow wheel of the checkout's Python and links them. The jar holds them next to the cdylib, which finds them by
//! `$ORIGIN`.
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

/// Why a library did not return pixels.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CodecError {
    /// The file is damaged, or of a kind that the library does not read; with the library's message.
    #[error("{0}")]
    Broken(String),
    /// The bytes end before the picture does.
    #[error("the file is cut off")]
    Cut,
    /// There was not enough memory for the library's own state.
    #[error("out of memory")]
    OutOfMemory,
}

/// The text at `message`, which the library ended with a zero byte.
///
/// # Safety
/// `message` points to such a text, which does not change during the call.
unsafe fn text(message: *const c_char) -> String {
    // SAFETY: as the caller promises.
    let text = unsafe { CStr::from_ptr(message) };
    text.to_string_lossy().into_owned()
}

//! JPEG by libjpeg-turbo: baseline, progressive, arithmetic and lossless files of 8 bits a sample.

use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::{CodecError, text};

unsafe extern "C" {
    fn flambeau_jpeg_open(bytes: *const u8, length: usize) -> *mut c_void;
    fn flambeau_jpeg_close(jpeg: *mut c_void);
    fn flambeau_jpeg_message(jpeg: *const c_void) -> *const c_char;
    fn flambeau_jpeg_header(jpeg: *mut c_void, width: *mut u32, height: *mut u32, components: *mut u32) -> c_int;
    fn flambeau_jpeg_pixels(jpeg: *mut c_void, pixels: *mut u8, row_bytes: usize) -> c_int;
}

/// What the frame header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 = grey, 3 = colour, 4 = inks; or what else the file says.
    pub components: u32,
}

/// A file whose header was read.
#[derive(Debug)]
pub struct Jpeg<'a> {
    handle: NonNull<c_void>,
    header: Header,
    bytes: PhantomData<&'a [u8]>,
}

impl<'a> Jpeg<'a> {
    /// Reads the header of a whole file.
    ///
    /// # Errors
    /// Every [`CodecError`].
    pub fn open(bytes: &'a [u8]) -> Result<Self, CodecError> {
        // SAFETY: the bytes outlive the handle, by its lifetime.
        let handle = unsafe { flambeau_jpeg_open(bytes.as_ptr(), bytes.len()) };
        let handle = NonNull::new(handle).ok_or(CodecError::OutOfMemory)?;
        let mut jpeg = Self { handle, header: Header { width: 0, height: 0, components: 0 }, bytes: PhantomData };
        let Header { width, height, components } = &mut jpeg.header;
        // SAFETY: the handle is open, the three places are ours.
        let code = unsafe { flambeau_jpeg_header(handle.as_ptr(), width, height, components) };
        jpeg.check(code)?;
        Ok(jpeg)
    }

    /// What the frame header says.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// Decodes the picture, rows from the top, into `pixels`: a byte a pixel of one component; else four, which are red, green, blue
    /// and 255 for three components, and the inks as stored (Adobe: 255 is no ink) for four.
    ///
    /// # Errors
    /// [`CodecError::Cut`] and [`CodecError::Broken`]; then `pixels` may hold a part. A buffer of the wrong length is `Broken`.
    pub fn pixels(self, pixels: &mut [u8]) -> Result<(), CodecError> {
        let Header { width, height, components } = self.header;
        let row_bytes = width as usize * if components == 1 { 1 } else { 4 };
        if pixels.len() != row_bytes * height as usize {
            return Err(CodecError::Broken(format!("{width} x {height} pixels do not fill {} bytes", pixels.len())));
        }
        // SAFETY: the handle is open; the rows, which the shim checks to have this length, are as many as the buffer has.
        let code = unsafe { flambeau_jpeg_pixels(self.handle.as_ptr(), pixels.as_mut_ptr(), row_bytes) };
        self.check(code)
    }

    fn check(&self, code: c_int) -> Result<(), CodecError> {
        match code {
            0 => Ok(()),
            2 => Err(CodecError::Cut),
            _ => {
                // SAFETY: the handle is open.
                let message = unsafe { flambeau_jpeg_message(self.handle.as_ptr()) };
                // SAFETY: the message is a zero-terminated array of the handle.
                Err(CodecError::Broken(unsafe { text(message) }))
            }
        }
    }
}

impl Drop for Jpeg<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is open and used no more.
        unsafe { flambeau_jpeg_close(self.handle.as_ptr()) };
    }
}

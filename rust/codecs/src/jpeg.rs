//! JPEG by libjpeg-turbo: baseline, progressive, arithmetic and lossless files of 8 bits per sample.
//!
//! [`Jpeg`] is a file whose header was read; [`Rows`] gives its pixels from the top, all of them or a part, shrunk while they are
//! decoded or not. A part has exactly the pixels that it has in the whole picture.

use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ops::Range;
use std::ptr::NonNull;

use crate::{CodecError, text};

unsafe extern "C" {
    fn flambeau_jpeg_open(bytes: *const u8, length: usize) -> *mut c_void;
    fn flambeau_jpeg_close(jpeg: *mut c_void);
    fn flambeau_jpeg_message(jpeg: *const c_void) -> *const c_char;
    fn flambeau_jpeg_header(jpeg: *mut c_void, width: *mut u32, height: *mut u32, components: *mut u32, blocks: *mut c_int) -> c_int;
    fn flambeau_jpeg_start(jpeg: *mut c_void, shrink: u32, width: *mut u32, height: *mut u32) -> c_int;
    fn flambeau_jpeg_narrow(jpeg: *mut c_void, left: *mut u32, width: *mut u32) -> c_int;
    fn flambeau_jpeg_rows(jpeg: *mut c_void, pixels: *mut u8, row_bytes: usize, rows: u32) -> c_int;
    fn flambeau_jpeg_skip(jpeg: *mut c_void, room: *mut u8, row_bytes: usize, rows: u32) -> c_int;
    fn flambeau_jpeg_finish(jpeg: *mut c_void, room: *mut u8, row_bytes: usize) -> c_int;
}

/// What the frame header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// 1 = gray, 3 = color, 4 = inks; other numbers as in the file.
    pub components: u32,
    /// Whether the picture can be shrunk while it is decoded; pictures without a DCT cannot.
    pub shrinks: bool,
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
        let mut jpeg = Self { handle, header: Header { width: 0, height: 0, components: 0, shrinks: false }, bytes: PhantomData };
        let Header { width, height, components, .. } = &mut jpeg.header;
        let mut blocks = 0;
        // SAFETY: the handle is open, the four places are ours.
        let code = unsafe { flambeau_jpeg_header(handle.as_ptr(), width, height, components, &mut blocks) };
        jpeg.check(code)?;
        jpeg.header.shrinks = blocks != 0;
        Ok(jpeg)
    }

    /// What the frame header says.
    #[must_use]
    pub fn header(&self) -> Header {
        self.header
    }

    /// Begins to decode, both sides divided by `shrink` (1, 2, 4 or 8) and rounded up. Files that cannot shrink take 1 only.
    ///
    /// # Errors
    /// [`CodecError::Cut`] and [`CodecError::Broken`].
    pub fn start(self, shrink: u32) -> Result<Rows<'a>, CodecError> {
        if !matches!(shrink, 1 | 2 | 4 | 8) || (shrink > 1 && !self.header.shrinks) {
            return Err(CodecError::Broken(format!("it cannot be shrunk by {shrink}")));
        }
        let (mut width, mut height) = (0, 0);
        // SAFETY: the handle is open, the two places are ours.
        let code = unsafe { flambeau_jpeg_start(self.handle.as_ptr(), shrink, &mut width, &mut height) };
        self.check(code)?;
        let pixel_bytes = if self.header.components == 1 { 1 } else { 4 };
        Ok(Rows { jpeg: self, columns: 0..width, height, next: 0, pixel_bytes })
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
        // SAFETY: the handle is open and not used afterwards.
        unsafe { flambeau_jpeg_close(self.handle.as_ptr()) };
    }
}

/// The rows of a picture, from the top. A pixel is a byte for one component; otherwise four bytes: red, green, blue and 255 for three
/// components, and the inks as stored (Adobe: 255 is no ink) for four.
#[derive(Debug)]
pub struct Rows<'a> {
    jpeg: Jpeg<'a>,
    columns: Range<u32>,
    height: u32,
    next: u32,
    pixel_bytes: usize,
}

impl Rows<'_> {
    /// The columns that a row has: all of the picture's, until it is narrowed.
    #[must_use]
    pub fn columns(&self) -> Range<u32> {
        self.columns.clone()
    }

    /// Rows of the picture.
    #[must_use]
    pub fn height(&self) -> u32 {
        self.height
    }

    /// Bytes of a row.
    #[must_use]
    pub fn row_bytes(&self) -> usize {
        self.columns.len() * self.pixel_bytes
    }

    /// Decodes only `columns` and those in the same blocks; [`Self::columns`] then returns the columns of a row. Only before the
    /// first row.
    ///
    /// # Errors
    /// [`CodecError::Broken`].
    pub fn narrow(&mut self, columns: Range<u32>) -> Result<(), CodecError> {
        let (mut left, mut width) = (columns.start, columns.end.saturating_sub(columns.start).max(1));
        // SAFETY: the handle is open, the two places are ours.
        let code = unsafe { flambeau_jpeg_narrow(self.jpeg.handle.as_ptr(), &mut left, &mut width) };
        self.jpeg.check(code)?;
        self.columns = left..left + width;
        Ok(())
    }

    /// Skips the next `rows`; `room` is a buffer for one row, with unspecified content afterwards. Damage in them is still found.
    ///
    /// # Errors
    /// [`CodecError::Cut`] and [`CodecError::Broken`], also if no row would be left.
    pub fn skip(&mut self, rows: u32, room: &mut [u8]) -> Result<(), CodecError> {
        if rows == 0 {
            return Ok(());
        }
        if rows >= self.height - self.next || room.len() != self.row_bytes() {
            return Err(CodecError::Broken(format!("{rows} rows cannot be left out")));
        }
        // SAFETY: the handle is open; the room is that of a row, whose length the shim checks.
        let code = unsafe { flambeau_jpeg_skip(self.jpeg.handle.as_ptr(), room.as_mut_ptr(), room.len(), rows) };
        self.next += rows;
        self.jpeg.check(code)
    }

    /// Decodes the next rows, as many as `pixels` has room for.
    ///
    /// # Errors
    /// [`CodecError::Cut`] and [`CodecError::Broken`]; then `pixels` may hold a part. A buffer of another size than some of the
    /// remaining rows is `Broken`.
    pub fn read(&mut self, pixels: &mut [u8]) -> Result<(), CodecError> {
        let row_bytes = self.row_bytes();
        let rows = pixels.len() / row_bytes;
        if rows * row_bytes != pixels.len() || rows > (self.height - self.next) as usize {
            return Err(CodecError::Broken(format!("{} bytes are not rows of {row_bytes}", pixels.len())));
        }
        // SAFETY: the handle is open; the rows, which the shim checks to have this length, are as many as the buffer has.
        let code = unsafe { flambeau_jpeg_rows(self.jpeg.handle.as_ptr(), pixels.as_mut_ptr(), row_bytes, rows as u32) };
        self.next += rows as u32;
        self.jpeg.check(code)
    }

    /// Checks the rest for damage, without decoding it; `room` is a buffer for one row.
    ///
    /// # Errors
    /// [`CodecError::Cut`] and [`CodecError::Broken`].
    pub fn finish(self, room: &mut [u8]) -> Result<(), CodecError> {
        if room.len() != self.row_bytes() {
            return Err(CodecError::Broken(format!("a row has {} bytes", self.row_bytes())));
        }
        // SAFETY: the handle is open; the room is that of a row, whose length the shim checks.
        let code = unsafe { flambeau_jpeg_finish(self.jpeg.handle.as_ptr(), room.as_mut_ptr(), room.len()) };
        self.jpeg.check(code)
    }
}

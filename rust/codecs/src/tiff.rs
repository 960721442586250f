//! TIFF by libtiff: the description of a file's first image, and its decompressed strips or tiles. The caller interprets the samples.

use std::ffi::{c_char, c_int, c_void};
use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::{CodecError, text};

/// Extra samples whose meaning is kept; no decoder reads files with more.
const MOST_EXTRA: usize = 8;

/// The same as `flambeau_tiff_description` in c/tiff.c.
#[repr(C)]
struct Description {
    width: u32,
    height: u32,
    block_width: u32,
    block_height: u32,
    blocks: u32,
    block_bytes: u64,
    row_bytes: u64,
    first_stored_bytes: u64,
    tiled: u16,
    bits: u16,
    samples: u16,
    sample_format: u16,
    photometric: u16,
    planar: u16,
    compression: u16,
    fill_order: u16,
    orientation: u16,
    extra_count: u16,
    extra: [u16; MOST_EXTRA],
    palette: [*const u16; 3],
}

unsafe extern "C" {
    fn flambeau_tiff_open(bytes: *const u8, length: u64, most_bytes: i64) -> *mut c_void;
    fn flambeau_tiff_close(file: *mut c_void);
    fn flambeau_tiff_is_open(file: *const c_void) -> c_int;
    fn flambeau_tiff_message(file: *const c_void) -> *const c_char;
    fn flambeau_tiff_describe(file: *mut c_void, description: *mut Description);
    fn flambeau_tiff_offset(file: *mut c_void, number: u32) -> u64;
    fn flambeau_tiff_block(file: *mut c_void, number: u32, into: *mut u8, room: i64) -> i64;
    fn flambeau_tiff_rgba(file: *mut c_void, width: u32, height: u32, pixels: *mut u32) -> c_int;
}

/// The tags of the first image, by the names of the TIFF specification; defaults if they are absent (0 for `photometric`).
#[derive(Clone, Debug)]
pub struct Tags {
    /// Pixels a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bits of each sample.
    pub bits: u16,
    /// Samples of each pixel.
    pub samples: u16,
    /// 1 unsigned, 2 signed, 3 floating point.
    pub sample_format: u16,
    /// What the samples mean.
    pub photometric: u16,
    /// 1 = the samples of a pixel lie together, 2 = each in a plane of its own.
    pub planar: u16,
    /// How blocks are compressed; 1 not at all.
    pub compression: u16,
    /// 2 where the first pixel of a byte is in its lowest bits.
    pub fill_order: u16,
    /// 1 to 8, as in EXIF.
    pub orientation: u16,
    /// Meaning of the samples beyond the colors. libtiff fills in what the file leaves out.
    pub extra: Vec<u16>,
    /// Red, green and blue of every index, 16 bits each; empty without a palette.
    pub palette: [Vec<u16>; 3],
}

/// How the image is cut into strips or tiles. Those of the first plane come first, row by row.
#[derive(Clone, Copy, Debug)]
pub struct Blocks {
    /// Pixels a row of a block; the last tile of a row may reach beyond the image.
    pub width: u32,
    /// Rows of a block; the last strip may have fewer, tiles may reach beyond the image.
    pub height: u32,
    /// Blocks of all planes.
    pub count: u32,
    /// Bytes of a decompressed block.
    pub bytes: u64,
    /// Bytes of a row of a decompressed block.
    pub row_bytes: u64,
    /// Bytes of the first block in the file, as the file says.
    pub first_stored_bytes: u64,
    /// Whether blocks are tiles.
    pub tiled: bool,
}

/// An open file.
#[derive(Debug)]
pub struct Tiff<'a> {
    handle: NonNull<c_void>,
    bytes: PhantomData<&'a [u8]>,
}

impl<'a> Tiff<'a> {
    /// Reads the first directory. libtiff allocates at most `most_bytes` for this handle.
    ///
    /// # Errors
    /// [`CodecError::Broken`], [`CodecError::OutOfMemory`].
    pub fn open(bytes: &'a [u8], most_bytes: u64) -> Result<Self, CodecError> {
        let most_bytes = i64::try_from(most_bytes).unwrap_or(i64::MAX);
        // SAFETY: the bytes outlive the handle, by its lifetime.
        let handle = unsafe { flambeau_tiff_open(bytes.as_ptr(), bytes.len() as u64, most_bytes) };
        let tiff = Self { handle: NonNull::new(handle).ok_or(CodecError::OutOfMemory)?, bytes: PhantomData };
        // SAFETY: the handle is one.
        let is_open = unsafe { flambeau_tiff_is_open(tiff.handle.as_ptr()) };
        if is_open == 0 { Err(tiff.broken()) } else { Ok(tiff) }
    }

    /// The tags of the first image, and its blocks.
    #[must_use]
    pub fn describe(&mut self) -> (Tags, Blocks) {
        let mut d = Description {
            width: 0,
            height: 0,
            block_width: 0,
            block_height: 0,
            blocks: 0,
            block_bytes: 0,
            row_bytes: 0,
            first_stored_bytes: 0,
            tiled: 0,
            bits: 0,
            samples: 0,
            sample_format: 0,
            photometric: 0,
            planar: 0,
            compression: 0,
            fill_order: 0,
            orientation: 0,
            extra_count: 0,
            extra: [0; MOST_EXTRA],
            palette: [std::ptr::null(); 3],
        };
        // SAFETY: the handle is open, the description is ours and laid out as the shim's.
        unsafe { flambeau_tiff_describe(self.handle.as_ptr(), &mut d) };
        let colors = if d.bits <= 16 { 1_usize << d.bits } else { 0 };
        let palette = d.palette.map(|plane| {
            if plane.is_null() || colors == 0 {
                return Vec::new();
            }
            // SAFETY: a color map has 2^bits values per plane, which libtiff checked and keeps as long as the handle.
            let values = unsafe { std::slice::from_raw_parts(plane, colors) };
            values.to_vec()
        });
        let tags = Tags {
            width: d.width,
            height: d.height,
            bits: d.bits,
            samples: d.samples,
            sample_format: d.sample_format,
            photometric: d.photometric,
            planar: d.planar,
            compression: d.compression,
            fill_order: d.fill_order,
            orientation: d.orientation,
            extra: d.extra[..MOST_EXTRA.min(usize::from(d.extra_count))].to_vec(),
            palette,
        };
        let blocks = Blocks {
            width: d.block_width,
            height: d.block_height,
            count: d.blocks,
            bytes: d.block_bytes,
            row_bytes: d.row_bytes,
            first_stored_bytes: d.first_stored_bytes,
            tiled: d.tiled != 0,
        };
        (tags, blocks)
    }

    /// Where block `number` begins in the file, in bytes; `None` if the file does not tell.
    pub fn offset(&mut self, number: u32) -> Option<u64> {
        // SAFETY: the handle is open; libtiff checks the number.
        let offset = unsafe { flambeau_tiff_offset(self.handle.as_ptr(), number) };
        (offset != 0).then_some(offset)
    }

    /// Decompresses block `number` into `into`, in this machine's byte order and with the first pixel of a byte in its highest bits.
    ///
    /// # Errors
    /// [`CodecError::Broken`], also where the block has fewer bytes than `into`.
    pub fn block(&mut self, number: u32, into: &mut [u8]) -> Result<(), CodecError> {
        let room = i64::try_from(into.len()).unwrap_or(i64::MAX);
        // SAFETY: the handle is open, the buffer has that much room; libtiff checks the number.
        let read = unsafe { flambeau_tiff_block(self.handle.as_ptr(), number, into.as_mut_ptr(), room) };
        match read {
            ..0 => Err(self.broken()),
            read if read < room => Err(CodecError::Cut),
            _ => Ok(()),
        }
    }

    /// All pixels as libtiff converts them, for YCbCr with its subsampling: red, green, blue, alpha; rows as stored.
    ///
    /// # Errors
    /// [`CodecError::Broken`], also where `pixels` is not `width * height`.
    pub fn rgba(&mut self, width: u32, height: u32, pixels: &mut [u32]) -> Result<(), CodecError> {
        if pixels.len() as u64 != u64::from(width) * u64::from(height) {
            return Err(CodecError::Broken(format!("{width} x {height} pixels do not fill {}", pixels.len())));
        }
        // SAFETY: the handle is open, the buffer has width * height pixels.
        let converted = unsafe { flambeau_tiff_rgba(self.handle.as_ptr(), width, height, pixels.as_mut_ptr()) };
        if converted == 0 { Err(self.broken()) } else { Ok(()) }
    }

    fn broken(&self) -> CodecError {
        // SAFETY: the handle is one.
        let message = unsafe { flambeau_tiff_message(self.handle.as_ptr()) };
        // SAFETY: the message is a zero-terminated array of the handle.
        let message = unsafe { text(message) };
        CodecError::Broken(if message.is_empty() { "the file is damaged".to_owned() } else { message })
    }
}

impl Drop for Tiff<'_> {
    fn drop(&mut self) {
        // SAFETY: the handle is not used afterwards.
        unsafe { flambeau_tiff_close(self.handle.as_ptr()) };
    }
}

//! A decoded picture, how it lies, and what every decoder needs before it makes one: checks of the declared size, limits of memory,
//! a buffer.

use flambeau_codecs::CodecError;

use super::error::ImageError;
use super::limits::ImageLimits;
use super::spare;

/// Bytes of one decoded pixel: red, green, blue, alpha.
pub(super) const PIXEL_BYTES: usize = 4;

/// What a decoder may allocate beyond the picture itself (metadata, tables, one row), in bytes.
const DECODER_OVERHEAD_BYTES: u64 = 64 << 20;

/// Maximum side, in pixels: far larger than any photo, but a strip of one by a hundred million pixels is rejected, which would
/// stall a resize.
const MAX_SIDE: u64 = 1 << 18;

/// The orientation of a stored picture: EXIF's 1 to 8. Others count as 1, upright.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Orientation(pub u32);

impl Orientation {
    pub(super) const UPRIGHT: Self = Self(1);

    /// Whether stored columns are rows of the upright picture.
    pub(super) fn transposed(self) -> bool {
        matches!(self.0, 5..=8)
    }

    /// Whether the first stored column is the last in the upright picture.
    pub(super) fn mirrors_columns(self) -> bool {
        matches!(self.0, 2 | 3 | 7 | 8)
    }

    /// Whether the first stored row is the last in the upright picture.
    pub(super) fn mirrors_rows(self) -> bool {
        matches!(self.0, 3 | 4 | 6 | 7)
    }

    /// A pair along the stored axes as one along the upright axes, or the other way about.
    pub(super) fn swap<T>(self, (across, down): (T, T)) -> (T, T) {
        if self.transposed() { (down, across) } else { (across, down) }
    }
}

/// A decoded picture: RGBA8, rows from the top as stored, no padding.
#[derive(Debug)]
pub(super) struct Picture {
    pub width: usize,
    pub height: usize,
    /// `width * height * 4` bytes.
    pub pixels: Vec<u8>,
    /// False when every alpha is known to be 255.
    pub has_alpha: bool,
    /// The decoder's orientation, for a TIFF: its own tag is always followed, as in Pillow.
    pub orientation: Orientation,
}

/// The declared size as `usize`s, checked to be neither empty nor over the limit.
pub(super) fn checked_size(format: &'static str, width: u64, height: u64, limits: &ImageLimits) -> Result<(usize, usize), ImageError> {
    if width == 0 || height == 0 {
        return Err(ImageError::corrupt(format, format!("its header says {width} x {height} pixels")));
    }
    if width.max(height) > MAX_SIDE {
        return Err(ImageError::unsupported(format, format!("a side of {} pixels (at most {MAX_SIDE})", width.max(height))));
    }
    let too_large = ImageError::TooLarge { width, height, max_pixels: limits.max_pixels };
    match width.checked_mul(height) {
        Some(pixels) if pixels <= limits.max_pixels && pixels <= (isize::MAX as u64) / 16 => Ok((width as usize, height as usize)),
        _ => Err(too_large),
    }
}

/// The memory a decoder may take for a picture of `bytes_per_pixel`, in bytes.
pub(super) fn memory_limit_bytes(width: usize, height: usize, bytes_per_pixel: u64) -> u64 {
    (width as u64).saturating_mul(height as u64).saturating_mul(bytes_per_pixel).saturating_add(DECODER_OVERHEAD_BYTES)
}

/// The row's error for an error of the C decoders.
pub(super) fn of_codec(format: &'static str) -> impl Fn(CodecError) -> ImageError {
    move |error| match error {
        CodecError::OutOfMemory => ImageError::unsupported(format, "this size (out of memory)"),
        other => ImageError::corrupt(format, other),
    }
}

/// A zeroed buffer of `len` bytes, or an error if there is not enough memory.
pub(super) fn buffer(format: &'static str, len: usize) -> Result<Vec<u8>, ImageError> {
    let mut buffer = spare::take();
    buffer.clear();
    grow(buffer, format, len)
}

/// A buffer of `len` bytes that may hold an older picture, for decoders that write every byte or fail.
pub(super) fn unclean_buffer(format: &'static str, len: usize) -> Result<Vec<u8>, ImageError> {
    let mut buffer = spare::take();
    buffer.truncate(len);
    grow(buffer, format, len)
}

fn grow(mut buffer: Vec<u8>, format: &'static str, len: usize) -> Result<Vec<u8>, ImageError> {
    let more = len.saturating_sub(buffer.len());
    buffer.try_reserve_exact(more).map_err(|_| ImageError::unsupported(format, format!("{len} bytes of pixels (out of memory)")))?;
    buffer.resize(len, 0);
    Ok(buffer)
}

//! From encoded bytes to an upright RGBA8 picture: runs the decoder and checks the declared size before it runs.

use flambeau_codecs::CodecError;

use super::sniff::Format;
use super::{ImageError, ImageLimits, bmp, gif, jpeg, orient, png, tiff, webp};

/// Bytes of one decoded pixel: red, green, blue, alpha.
pub(super) const PIXEL_BYTES: usize = 4;

/// What a decoder may allocate beyond the picture itself (metadata, tables, one row), in bytes.
const DECODER_OVERHEAD_BYTES: u64 = 64 << 20;

/// Longest side read, in pixels: far above any photo, yet a strip of one pixel by a hundred million cannot stall a resize.
const MAX_SIDE: u64 = 1 << 18;

/// A decoded picture: RGBA8, rows from the top, no padding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Picture {
    pub width: usize,
    pub height: usize,
    /// `width * height * 4` bytes.
    pub pixels: Vec<u8>,
    /// False when every alpha is known to be 255.
    pub has_alpha: bool,
}

/// Decodes `bytes` of `format`; `upright` applies the EXIF orientation (a TIFF's own is always applied, by its decoder, as Pillow does).
pub(super) fn decode(format: Format, bytes: &[u8], upright: bool, limits: &ImageLimits) -> Result<Picture, ImageError> {
    let picture = match format {
        Format::Jpeg => jpeg::decode(bytes, limits),
        Format::Png => png::decode(bytes, limits),
        Format::WebP => webp::decode(bytes, limits),
        Format::Gif => gif::decode(bytes, limits),
        Format::Bmp => bmp::decode(bytes, limits),
        Format::Tiff => tiff::decode(bytes, limits),
    }?;
    Ok(match format {
        Format::Jpeg | Format::Png | Format::WebP if upright => orient::turn(picture, orient::read(bytes)),
        _ => picture,
    })
}

/// The declared size as `usize`s, once it is found to be neither empty nor over the limit.
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

/// An error of the C decoders in the words of a row.
pub(super) fn of_codec(format: &'static str) -> impl Fn(CodecError) -> ImageError {
    move |error| match error {
        CodecError::OutOfMemory => ImageError::unsupported(format, "this size (out of memory)"),
        other => ImageError::corrupt(format, other),
    }
}

/// An owned zeroed buffer of `len` bytes, or an error where the machine has no such memory.
pub(super) fn buffer(format: &'static str, len: usize) -> Result<Vec<u8>, ImageError> {
    let mut buffer = Vec::new();
    buffer.try_reserve_exact(len).map_err(|_| ImageError::unsupported(format, format!("{len} bytes of pixels (out of memory)")))?;
    buffer.resize(len, 0);
    Ok(buffer)
}

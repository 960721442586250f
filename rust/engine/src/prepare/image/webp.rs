//! WebP, lossy and lossless; of an animation, the first frame.

use std::io::Cursor;

use image_webp::{DecodingError, WebPDecoder};

use super::channels::rgb_to_rgba;
use super::decode::{Picture, buffer, checked_size, memory_limit_bytes};
use super::{ImageError, ImageLimits};

const FORMAT: &str = "WebP";
/// Canvas, frame and planes.
const DECODER_BYTES_PER_PIXEL: u64 = 16;

/// Decodes the first frame of a WebP.
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, ImageError> {
    let broken = |error: DecodingError| ImageError::corrupt(FORMAT, error);
    let mut decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = checked_size(FORMAT, u64::from(width), u64::from(height), limits)?;
    decoder.set_memory_limit(memory_limit_bytes(width, height, DECODER_BYTES_PER_PIXEL) as usize);
    let size = decoder.output_buffer_size().ok_or_else(|| ImageError::corrupt(FORMAT, "its size overflows"))?;
    let mut decoded = buffer(FORMAT, size)?;
    let has_alpha = decoder.has_alpha();
    if decoder.is_animated() {
        decoder.read_frame(&mut decoded).map_err(broken)?;
    } else {
        decoder.read_image(&mut decoded).map_err(broken)?;
    }
    let pixels = if has_alpha { decoded } else { rgb_to_rgba(&decoded) };
    Ok(Picture { width, height, pixels, has_alpha })
}

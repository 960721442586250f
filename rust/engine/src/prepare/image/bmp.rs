//! Windows bitmaps: 1 to 32 bits, run-length encoded or not.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::{ColorType, ImageDecoder, ImageError as DecoderError};

use super::channels::{grey_to_rgba, rgb_to_rgba};
use super::decode::{Picture, buffer, checked_size};
use super::{ImageError, ImageLimits};

const FORMAT: &str = "BMP";

/// Decodes a BMP.
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, ImageError> {
    let broken = |error: DecoderError| match error {
        DecoderError::Unsupported(what) => ImageError::unsupported(FORMAT, what),
        other => ImageError::corrupt(FORMAT, other),
    };
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(broken)?;
    let (width, height) = decoder.dimensions();
    let (width, height) = checked_size(FORMAT, u64::from(width), u64::from(height), limits)?;
    let color_type = decoder.color_type();
    let mut decoded = buffer(FORMAT, width * height * usize::from(color_type.bytes_per_pixel()))?;
    decoder.read_image(&mut decoded).map_err(broken)?;
    let (pixels, has_alpha) = match color_type {
        ColorType::L8 => (grey_to_rgba(decoded.into_iter()), false),
        ColorType::Rgb8 => (rgb_to_rgba(&decoded), false),
        ColorType::Rgba8 => (decoded, true),
        other => return Err(ImageError::unsupported(FORMAT, format!("{other:?} pixels"))),
    };
    Ok(Picture { width, height, pixels, has_alpha })
}

//! GIF: the first frame, on its canvas.
//!
//! What the first frame leaves uncovered, and its transparent pixels, take the colour that Pillow's palette gives them: the
//! transparent index if there is one, else index 0.

use std::io::Cursor;
use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, MemoryLimit};

use super::decode::{PIXEL_BYTES, Picture, buffer, checked_size, memory_limit_bytes};
use super::{ImageError, ImageLimits};

const FORMAT: &str = "GIF";

/// Decodes the first frame of a GIF.
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, ImageError> {
    let broken = |error: DecodingError| ImageError::corrupt(FORMAT, error);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let limit = memory_limit_bytes(usize::from(u16::MAX), usize::from(u16::MAX), 1);
    let pixels_limit = limits.max_pixels.saturating_add(1 << 20);
    options.set_memory_limit(MemoryLimit::Bytes(NonZeroU64::MIN.saturating_add(limit.min(pixels_limit))));
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(broken)?;
    let (width, height) = checked_size(FORMAT, u64::from(decoder.width()), u64::from(decoder.height()), limits)?;
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let frame = decoder.read_next_frame().map_err(broken)?.ok_or_else(|| ImageError::corrupt(FORMAT, "it has no frame"))?;
    let palette = frame.palette.as_deref().or(global.as_deref()).unwrap_or_default();
    let color = |index: u8| -> [u8; PIXEL_BYTES] {
        let at = usize::from(index) * 3;
        let alpha = if frame.transparent == Some(index) { 0 } else { u8::MAX };
        match palette.get(at..at + 3) {
            Some(&[red, green, blue]) => [red, green, blue, alpha],
            _ => [0, 0, 0, alpha],
        }
    };
    let mut pixels = buffer(FORMAT, width * height * PIXEL_BYTES)?;
    let backdrop = color(frame.transparent.unwrap_or(0));
    for pixel in pixels.chunks_exact_mut(PIXEL_BYTES) {
        pixel.copy_from_slice(&backdrop);
    }
    let (left, top, frame_width) = (usize::from(frame.left), usize::from(frame.top), usize::from(frame.width));
    if frame_width > 0 && left < width && top < height {
        let rows = pixels.chunks_exact_mut(width * PIXEL_BYTES).skip(top);
        for (row, indices) in rows.zip(frame.buffer.chunks_exact(frame_width)) {
            for (pixel, &index) in row[left * PIXEL_BYTES..].chunks_exact_mut(PIXEL_BYTES).zip(indices) {
                pixel.copy_from_slice(&color(index));
            }
        }
    }
    let has_alpha = frame.transparent.is_some();
    Ok(Picture { width, height, pixels, has_alpha })
}

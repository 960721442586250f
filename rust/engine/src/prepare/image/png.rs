//! PNG: every colour type and depth, interlaced or not; of an animation, the default image.
//!
//! Depths as Pillow's `convert("RGB")` treats them: 16-bit colour (and grey with alpha) keeps its high byte, but plain 16-bit grey is **clipped** at 255
//! (Pillow's mode `I;16`), so a model sees what its authors' Python saw.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};

use super::channels::{grey_alpha_to_rgba, grey_to_rgba, rgb_to_rgba};
use super::decode::{Picture, buffer, checked_size, memory_limit_bytes};
use super::{ImageError, ImageLimits};

const FORMAT: &str = "PNG";
/// Two 16-bit RGBA pictures: the decoder's and its scratch.
const DECODER_BYTES_PER_PIXEL: u64 = 16;

/// Decodes the (default) image of a PNG.
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, ImageError> {
    let broken = |error: DecodingError| ImageError::corrupt(FORMAT, error);
    let limit = memory_limit_bytes(1, 1, DECODER_BYTES_PER_PIXEL);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: limit as usize });
    decoder.set_ignore_text_chunk(true);
    let header = decoder.read_header_info().map_err(broken)?;
    let (width, height) = checked_size(FORMAT, u64::from(header.width), u64::from(header.height), limits)?;
    let deep_grey = header.color_type == ColorType::Grayscale && header.bit_depth == BitDepth::Sixteen;
    decoder.set_limits(Limits { bytes: memory_limit_bytes(width, height, DECODER_BYTES_PER_PIXEL) as usize });
    decoder.set_transformations(if deep_grey { Transformations::IDENTITY } else { Transformations::normalize_to_color8() });
    let mut reader = decoder.read_info().map_err(broken)?;
    let size = reader.output_buffer_size().ok_or_else(|| ImageError::corrupt(FORMAT, "its size overflows"))?;
    let mut decoded = buffer(FORMAT, size)?;
    let frame = reader.next_frame(&mut decoded).map_err(broken)?;
    if (frame.width as usize, frame.height as usize) != (width, height) {
        return Err(ImageError::corrupt(FORMAT, "its first frame has another size than its header says"));
    }
    decoded.truncate(frame.buffer_size());
    let (pixels, has_alpha) = match frame.color_type {
        ColorType::Grayscale if deep_grey => {
            let clipped = decoded.chunks_exact(2).map(|pair| if pair[0] == 0 { pair[1] } else { u8::MAX });
            (grey_to_rgba(clipped), false)
        }
        ColorType::Grayscale => (grey_to_rgba(decoded.into_iter()), false),
        ColorType::GrayscaleAlpha => (grey_alpha_to_rgba(&decoded), true),
        ColorType::Rgb => (rgb_to_rgba(&decoded), false),
        ColorType::Rgba => (decoded, true),
        ColorType::Indexed => return Err(ImageError::unsupported(FORMAT, "an unexpanded palette")),
    };
    Ok(Picture { width, height, pixels, has_alpha })
}

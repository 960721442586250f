//! PNG: every color type and depth, interlaced or not. For an animation, the default image.
//!
//! Depths as in Pillow's `convert("RGB")`: 16-bit color (and gray with alpha) keeps its high byte. But plain 16-bit gray is
//! **clipped** at 255 (Pillow's mode `I;16`), so a model gets the same values as in its authors' Python.

use std::io::Cursor;

use png::{BitDepth, ColorType, Decoder, DecodingError, Limits, Transformations};

use super::channels::{gray_alpha_to_rgba, gray_to_rgba, rgb_to_rgba};
use super::picture::{Orientation, PIXEL_BYTES, buffer, checked_size, memory_limit_bytes, unclean_buffer};
use super::placement::Placement;
use super::sink::{Sink, Stored};
use super::{ImageError, ImageLimits, ImageSpec, spare};

const FORMAT: &str = "PNG";
/// Two 16-bit RGBA pictures: the decoder's and its scratch.
const DECODER_BYTES_PER_PIXEL: u64 = 16;

/// Decodes the (default) image of a PNG and prepares it.
pub(super) fn prepare(
    bytes: &[u8],
    orientation: Orientation,
    spec: &ImageSpec,
    limits: &ImageLimits,
    out: &mut [f32],
) -> Result<Placement, ImageError> {
    let limit = memory_limit_bytes(1, 1, DECODER_BYTES_PER_PIXEL);
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), Limits { bytes: limit as usize });
    decoder.set_ignore_text_chunk(true);
    let header = decoder.read_header_info().map_err(broken)?;
    let (width, height) = checked_size(FORMAT, u64::from(header.width), u64::from(header.height), limits)?;
    let interlaced = header.interlaced;
    let deep_gray = header.color_type == ColorType::Grayscale && header.bit_depth == BitDepth::Sixteen;
    decoder.set_limits(Limits { bytes: memory_limit_bytes(width, height, DECODER_BYTES_PER_PIXEL) as usize });
    decoder.set_transformations(if deep_gray { Transformations::IDENTITY } else { Transformations::normalize_to_color8() });
    let mut reader = decoder.read_info().map_err(broken)?;
    let (color, _) = reader.output_color_type();
    let has_alpha = matches!(color, ColorType::GrayscaleAlpha | ColorType::Rgba);
    let frame = reader.info().frame_control();
    if frame.is_some_and(|frame| (frame.width as usize, frame.height as usize) != (width, height)) {
        return Err(ImageError::corrupt(FORMAT, "its first frame has another size than its header says"));
    }
    let mut sink = Sink::new(&Stored { width, height, shrink: 1, orientation, has_alpha }, spec, out);
    let mut line = unclean_buffer(FORMAT, width * PIXEL_BYTES)?;
    let mut push = |sink: &mut Sink<'_>, row: &[u8]| {
        match color {
            ColorType::Grayscale if deep_gray => {
                let clipped = row.chunks_exact(2).map(|pair| if pair[0] == 0 { pair[1] } else { u8::MAX });
                gray_to_rgba(clipped, &mut line);
            }
            ColorType::Grayscale => gray_to_rgba(row.iter().copied(), &mut line),
            ColorType::GrayscaleAlpha => gray_alpha_to_rgba(row, &mut line),
            ColorType::Rgb => rgb_to_rgba(row, &mut line),
            ColorType::Rgba => line.copy_from_slice(row),
            ColorType::Indexed => return Err(ImageError::unsupported(FORMAT, "an unexpanded palette")),
        }
        sink.push(&mut line, 0);
        Ok(())
    };
    let needed = sink.rows();
    if interlaced {
        let size = reader.output_buffer_size().ok_or_else(|| ImageError::corrupt(FORMAT, "its size overflows"))?;
        let mut decoded = buffer(FORMAT, size)?;
        reader.next_frame(&mut decoded).map_err(broken)?;
        let row_bytes = size / height;
        needed.clone().try_for_each(|y| push(&mut sink, &decoded[y * row_bytes..(y + 1) * row_bytes]))?;
    } else {
        for y in 0..height {
            let row = reader.next_row().map_err(broken)?.ok_or_else(|| ImageError::corrupt(FORMAT, "it has too few rows"))?;
            if needed.contains(&y) {
                push(&mut sink, row.data())?;
            }
        }
    }
    spare::keep(line);
    Ok(sink.placement())
}

fn broken(error: DecodingError) -> ImageError {
    ImageError::corrupt(FORMAT, error)
}

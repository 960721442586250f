//! GIF: the first frame, on its canvas.
//!
//! The canvas is the logical screen, enlarged if the first frame reaches beyond it. Pixels outside the first frame get the
//! transparent index if there is one, otherwise index 0, as in Pillow. Without a palette (or with one that is a plain gray ramp)
//! an index is its own gray; past the end of a palette it is black.

use std::borrow::Cow;
use std::io::Cursor;
use std::num::NonZeroU64;

use gif::{ColorOutput, DecodeOptions, DecodingError, Frame, MemoryLimit};

use super::picture::{Orientation, PIXEL_BYTES, Picture, buffer, checked_size, memory_limit_bytes};
use super::{ImageError, ImageLimits};

const FORMAT: &str = "GIF";

/// Signature and logical screen.
const SCREEN_BYTES: usize = 13;
/// Where the logical screen's flags are.
const FLAGS_AT: usize = 10;
/// Of the flags: a palette follows.
const HAS_PALETTE: u8 = 0x80;
/// Of the flags: it has 256 colors.
const COLORS_256: u8 = 7;

/// Decodes the first frame of a GIF.
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, ImageError> {
    let broken = |error: DecodingError| ImageError::corrupt(FORMAT, error);
    let bytes = with_palette(bytes);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let limit = memory_limit_bytes(usize::from(u16::MAX), usize::from(u16::MAX), 1);
    let pixels_limit = limits.max_pixels.saturating_add(1 << 20);
    options.set_memory_limit(MemoryLimit::Bytes(NonZeroU64::MIN.saturating_add(limit.min(pixels_limit))));
    let mut decoder = options.read_info(Cursor::new(bytes)).map_err(broken)?;
    let screen = (u64::from(decoder.width()), u64::from(decoder.height()));
    checked_size(FORMAT, screen.0.max(1), screen.1.max(1), limits)?;
    let global = decoder.global_palette().map(<[u8]>::to_vec);
    let head = decoder.next_frame_info().map_err(broken)?.ok_or_else(|| ImageError::corrupt(FORMAT, "it has no frame"))?;
    let right = u64::from(head.left) + u64::from(head.width);
    let bottom = u64::from(head.top) + u64::from(head.height);
    let (width, height) = checked_size(FORMAT, screen.0.max(right), screen.1.max(bottom), limits)?;
    let frame = head.clone();
    let mut indices = buffer(FORMAT, decoder.buffer_size())?;
    decoder.read_into_buffer(&mut indices).map_err(broken)?;
    let colors = colors(&frame, global.as_deref());
    let mut pixels = buffer(FORMAT, width * height * PIXEL_BYTES)?;
    let backdrop = colors[usize::from(frame.transparent.unwrap_or(0))];
    for pixel in pixels.chunks_exact_mut(PIXEL_BYTES) {
        pixel.copy_from_slice(&backdrop);
    }
    if frame.width > 0 {
        let rows = pixels.chunks_exact_mut(width * PIXEL_BYTES).skip(usize::from(frame.top));
        for (row, indices) in rows.zip(indices.chunks_exact(usize::from(frame.width))) {
            let row = &mut row[usize::from(frame.left) * PIXEL_BYTES..];
            for (pixel, &index) in row.chunks_exact_mut(PIXEL_BYTES).zip(indices) {
                pixel.copy_from_slice(&colors[usize::from(index)]);
            }
        }
    }
    let has_alpha = frame.transparent.is_some();
    Ok(Picture { width, height, pixels, has_alpha, orientation: Orientation::UPRIGHT })
}

/// The file, with a ramp of grays as its palette if it has none: the decoder needs one.
fn with_palette(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes.get(FLAGS_AT) {
        Some(flags) if flags & HAS_PALETTE == 0 && bytes.len() > SCREEN_BYTES => {
            let ramp = (0..=u8::MAX).flat_map(|gray| [gray; 3]);
            let (screen, rest) = bytes.split_at(SCREEN_BYTES);
            let mut whole: Vec<u8> = screen.iter().copied().chain(ramp).chain(rest.iter().copied()).collect();
            whole[FLAGS_AT] = flags | HAS_PALETTE | COLORS_256;
            Cow::Owned(whole)
        }
        _ => Cow::Borrowed(bytes),
    }
}

/// The color of every index.
fn colors(frame: &Frame<'_>, global: Option<&[u8]>) -> [[u8; PIXEL_BYTES]; 256] {
    let palette = frame.palette.as_deref().or(global).unwrap_or_default();
    let is_ramp = palette.chunks_exact(3).enumerate().all(|(index, color)| color.iter().all(|&value| usize::from(value) == index));
    std::array::from_fn(|index| {
        let [red, green, blue] = match palette.get(index * 3..index * 3 + 3) {
            _ if is_ramp => [index as u8; 3],
            Some(&[red, green, blue]) => [red, green, blue],
            _ => [0; 3],
        };
        let alpha = if frame.transparent.map(usize::from) == Some(index) { 0 } else { u8::MAX };
        [red, green, blue, alpha]
    })
}

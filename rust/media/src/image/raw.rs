//! Pictures that come as pixels, as Spark's image reader gives them: checked, then prepared as decoded ones are.

use super::picture::{Orientation, PIXEL_BYTES, checked_size};
use super::placement::Placement;
use super::sink::{Sink, Stored};
use super::{ImageError, ImageLimits, ImageSpec};

const RAW: &str = "raw pixels";

/// Raw pixels as Spark's `image` struct holds them: rows from the top, no padding, one byte a channel.
#[derive(Clone, Copy, Debug)]
pub struct PixelView<'a> {
    /// Rows.
    pub height: i32,
    /// Pixels a row.
    pub width: i32,
    /// 1 = gray, 3 = BGR, 4 = BGRA.
    pub channels: i32,
    /// `height * width * channels` bytes.
    pub data: &'a [u8],
}

/// Checks a raw picture and prepares it.
pub(super) fn prepare_pixels(
    view: &PixelView<'_>,
    spec: &ImageSpec,
    limits: &ImageLimits,
    out: &mut [f32],
) -> Result<Placement, ImageError> {
    let bad = |cause: String| ImageError::BadPixels { cause };
    let &PixelView { height, width, channels, data } = view;
    let channels = match channels {
        1 | 3 | 4 => channels as usize,
        other => return Err(bad(format!("{other} channels (1 = gray, 3 = BGR and 4 = BGRA are read)"))),
    };
    if height <= 0 || width <= 0 {
        return Err(bad(format!("{width} x {height} pixels")));
    }
    let (width, height) = checked_size(RAW, u64::from(width.unsigned_abs()), u64::from(height.unsigned_abs()), limits)?;
    let expected = width * height * channels;
    if data.len() != expected {
        return Err(bad(format!("{width} x {height} pixels of {channels} channels take {expected} bytes, there are {}", data.len())));
    }
    let stored = Stored { width, height, shrink: 1, orientation: Orientation::UPRIGHT, has_alpha: channels == 4 };
    let mut sink = Sink::new(&stored, spec, out);
    let columns = sink.columns();
    let mut row = vec![0; columns.len() * PIXEL_BYTES];
    for y in sink.rows() {
        let raw = &data[(y * width + columns.start) * channels..(y * width + columns.end) * channels];
        for (pixel, raw) in row.chunks_exact_mut(PIXEL_BYTES).zip(raw.chunks_exact(channels)) {
            let color = match *raw {
                [gray] => [gray, gray, gray, u8::MAX],
                [blue, green, red] => [red, green, blue, u8::MAX],
                [blue, green, red, alpha] => [red, green, blue, alpha],
                _ => [0; PIXEL_BYTES],
            };
            pixel.copy_from_slice(&color);
        }
        sink.push(&mut row, columns.start);
    }
    Ok(sink.placement())
}

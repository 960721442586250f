//! Color arithmetic on bytes, as Pillow does it: CMYK, gray, BGR, alpha.

use super::picture::PIXEL_BYTES;
use super::spec::{Channels, ImageSpec};

/// `a * b / 255`, rounded to nearest.
fn multiply(a: u8, b: u8) -> u8 {
    divide_by_255(u32::from(a) * u32::from(b))
}

/// `value / 255` rounded to nearest, for `value` up to 255².
fn divide_by_255(value: u32) -> u8 {
    let rounded = value + 128;
    (((rounded >> 8) + rounded) >> 8) as u8
}

/// Ink to light: red, green and blue, each reduced by its ink and by black.
pub(super) fn cmyk_to_rgb([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let light = u8::MAX - black;
    [cyan, magenta, yellow].map(|ink| light - multiply(ink, light))
}

/// CMYK as JPEG stores it (Adobe's convention: 255 is no ink) to RGBA, in place.
pub(super) fn inverted_cmyk_to_rgba(pixels: &mut [u8]) {
    for pixel in pixels.chunks_exact_mut(PIXEL_BYTES) {
        if let &mut [cyan, magenta, yellow, black] = pixel {
            let [red, green, blue] = cmyk_to_rgb([!cyan, !magenta, !yellow, !black]);
            pixel.copy_from_slice(&[red, green, blue, u8::MAX]);
        }
    }
}

/// JFIF's full-range YCbCr with Pillow's rounding: products in 1/64, cut to whole ones after half is added, sums rounded down.
pub(super) fn ycbcr_to_rgba([luma, blueness, redness]: [u8; 3]) -> [u8; PIXEL_BYTES] {
    let product = |factor: f64, chroma: u8| (factor * (f64::from(chroma) - 128.0) * 64.0 + 0.5) as i32;
    let byte = |sixty_fourths: i32| (i32::from(luma) + (sixty_fourths >> 6)).clamp(0, 255) as u8;
    let red = byte(product(1.402, redness));
    let green = byte(product(-0.34414, blueness) + product(-0.71414, redness));
    [red, green, byte(product(1.772, blueness)), u8::MAX]
}

/// Grays to opaque pixels.
pub(super) fn gray_to_rgba(grays: impl Iterator<Item = u8>, pixels: &mut [u8]) {
    for (pixel, gray) in pixels.chunks_exact_mut(PIXEL_BYTES).zip(grays) {
        pixel.copy_from_slice(&[gray, gray, gray, u8::MAX]);
    }
}

/// Pairs of gray and alpha to pixels.
pub(super) fn gray_alpha_to_rgba(pairs: &[u8], pixels: &mut [u8]) {
    for (pixel, pair) in pixels.chunks_exact_mut(PIXEL_BYTES).zip(pairs.chunks_exact(2)) {
        pixel.copy_from_slice(&[pair[0], pair[0], pair[0], pair[1]]);
    }
}

/// Colors to opaque pixels.
pub(super) fn rgb_to_rgba(colors: &[u8], pixels: &mut [u8]) {
    for (pixel, color) in pixels.chunks_exact_mut(PIXEL_BYTES).zip(colors.chunks_exact(3)) {
        pixel.copy_from_slice(&[color[0], color[1], color[2], u8::MAX]);
    }
}

/// Blends alpha with the background (or drops it), then puts the channels into the model's order: the first [`ImageSpec::channels`]
/// bytes of every pixel.
pub(super) struct Flatten {
    background: Option<[u8; 3]>,
    channels: Channels,
}

impl Flatten {
    /// For pictures with or without alpha.
    pub(super) fn new(spec: &ImageSpec, has_alpha: bool) -> Self {
        Self { background: spec.background.filter(|_| has_alpha), channels: spec.channels }
    }

    /// The pixels of a row, in place.
    pub(super) fn row(&self, row: &mut [u8]) {
        if let Some(background) = self.background {
            for pixel in row.chunks_exact_mut(PIXEL_BYTES) {
                let alpha = u32::from(pixel[3]);
                for (value, behind) in pixel.iter_mut().zip(background) {
                    *value = divide_by_255(u32::from(*value) * alpha + u32::from(behind) * (255 - alpha));
                }
            }
        }
        match self.channels {
            Channels::Rgb => {}
            Channels::Bgr => row.chunks_exact_mut(PIXEL_BYTES).for_each(|pixel| pixel.swap(0, 2)),
            Channels::L => row.chunks_exact_mut(PIXEL_BYTES).for_each(|pixel| pixel[0] = luma(pixel[0], pixel[1], pixel[2])),
        }
    }
}

/// ITU-R 601 luma in 16-bit fixed point.
fn luma(red: u8, green: u8, blue: u8) -> u8 {
    ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16) as u8
}

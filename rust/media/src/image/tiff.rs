//! TIFF by libtiff: the first image of the file, with Pillow's meaning of its samples.
//!
//! libtiff decompresses strips and tiles; [`kind`] finds the meaning of their samples, and rejects kinds that cannot be read
//! correctly, by name; [`samples`] brings them to bytes. Uncompressed blocks are taken directly from the file, since their
//! lengths are often missing or wrong although the pixels are fine. YCbCr with subsampled chroma is left to libtiff's own
//! conversion, as Pillow does.

mod directory;
mod kind;
mod samples;

use flambeau_codecs::tiff::{Blocks, Tags, Tiff};

use super::channels::{cmyk_to_rgb, ycbcr_to_rgba};
use super::picture::{Orientation, PIXEL_BYTES, Picture, buffer, checked_size, memory_limit_bytes, of_codec};
use super::{ImageError, ImageLimits};
use kind::{Alpha, Color, Kind};

const FORMAT: &str = "TIFF";

/// Bytes that libtiff may allocate for a directory, in addition to a few times the file.
const DIRECTORY_BYTES: u64 = 64 << 20;
/// Bytes that libtiff may allocate per pixel: a strip of the whole picture, decompressed, of four samples of 32 bits.
const DECODER_BYTES_PER_PIXEL: u64 = 16;

/// Decodes the first image of a TIFF.
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, ImageError> {
    let directory_bytes = DIRECTORY_BYTES + 4 * bytes.len() as u64;
    let (tags, _) = Tiff::open(bytes, directory_bytes).map_err(of_codec(FORMAT))?.describe();
    let (width, height) = checked_size(FORMAT, u64::from(tags.width), u64::from(tags.height), limits)?;
    // Opened again with a memory limit for the size of the picture.
    let most_bytes = directory_bytes + memory_limit_bytes(width, height, DECODER_BYTES_PER_PIXEL);
    let mut file = Tiff::open(bytes, most_bytes).map_err(of_codec(FORMAT))?;
    let (tags, blocks) = file.describe();
    let kind = kind::of(&tags, &blocks, directory::has_extra_samples(bytes))?;
    if tags.compression == kind::NONE && directory::listed_blocks(bytes) > u64::from(blocks.count) {
        return Err(ImageError::corrupt(FORMAT, "it lists more strips or tiles than its size has room for"));
    }
    let mut pixels = buffer(FORMAT, width * height * PIXEL_BYTES)?;
    if kind.color == Color::ByLibtiff {
        convert(&mut file, &tags, &mut pixels)?;
    } else {
        let samples = samples::read(bytes, &mut file, &tags, &check(blocks, most_bytes)?, &kind)?;
        for (pixel, samples) in pixels.chunks_exact_mut(PIXEL_BYTES).zip(samples.chunks_exact(kind.used)) {
            pixel.copy_from_slice(&color(samples, &kind, &tags.palette));
        }
    }
    if kind.alpha == Alpha::Multiplied {
        undo_alpha(&mut pixels);
    }
    let orientation = Orientation(u32::from(tags.orientation));
    Ok(Picture { width, height, pixels, has_alpha: kind.alpha != Alpha::None, orientation })
}

/// A hostile file may declare blocks far larger than its picture.
fn check(blocks: Blocks, most_bytes: u64) -> Result<Blocks, ImageError> {
    if blocks.width == 0 || blocks.height == 0 {
        return Err(ImageError::corrupt(FORMAT, "its strips or tiles have no size"));
    }
    if blocks.bytes > most_bytes || blocks.row_bytes > most_bytes {
        return Err(ImageError::corrupt(FORMAT, "its strips or tiles are far larger than the picture"));
    }
    Ok(blocks)
}

/// Pixels as libtiff converts them.
fn convert(file: &mut Tiff<'_>, tags: &Tags, pixels: &mut [u8]) -> Result<(), ImageError> {
    let count = pixels.len() / PIXEL_BYTES;
    let mut words = Vec::new();
    words.try_reserve_exact(count).map_err(|_| ImageError::unsupported(FORMAT, format!("{count} pixels (out of memory)")))?;
    words.resize(count, 0_u32);
    file.rgba(tags.width, tags.height, &mut words).map_err(of_codec(FORMAT))?;
    for (pixel, word) in pixels.chunks_exact_mut(PIXEL_BYTES).zip(words) {
        pixel.copy_from_slice(&word.to_le_bytes());
    }
    Ok(())
}

/// The color of a pixel from its `kind.used` samples.
fn color(samples: &[u8], kind: &Kind, palette: &[Vec<u16>; 3]) -> [u8; PIXEL_BYTES] {
    let alpha = match kind.alpha {
        Alpha::None => u8::MAX,
        Alpha::Plain | Alpha::Multiplied => samples.last().copied().unwrap_or(u8::MAX),
    };
    match (kind.color, samples) {
        (Color::Gray, &[gray, ..]) => [gray, gray, gray, alpha],
        (Color::Palette, &[index, ..]) => {
            let [red, green, blue] = palette;
            let of = |plane: &Vec<u16>| plane.get(usize::from(index)).map_or(0, |value| (value >> 8) as u8);
            [of(red), of(green), of(blue), alpha]
        }
        (Color::Rgb, &[red, green, blue, ..]) => [red, green, blue, alpha],
        (Color::YCbCr, &[luma, blueness, redness, ..]) => ycbcr_to_rgba([luma, blueness, redness]),
        (Color::Cmyk, &[cyan, magenta, yellow, black, ..]) => {
            let [red, green, blue] = cmyk_to_rgb([cyan, magenta, yellow, black]);
            [red, green, blue, u8::MAX]
        }
        _ => [0, 0, 0, u8::MAX],
    }
}

/// Divides the colors by the alpha they were multiplied with, rounding down as Pillow does.
fn undo_alpha(pixels: &mut [u8]) {
    for pixel in pixels.chunks_exact_mut(PIXEL_BYTES) {
        let alpha = u16::from(pixel[3]);
        for value in &mut pixel[..3] {
            *value = (u16::from(*value) * 255).checked_div(alpha).unwrap_or(0).min(255) as u8;
        }
    }
}

//! TIFF: the first image of the file; bilevel to 16-bit, palette, grey, RGB, CMYK, with or without alpha, in one plane or several.
//!
//! Depths as Pillow's `convert("RGB")` treats them: 16-bit colour keeps its high byte; single-channel values wider than 8 bits
//! (16- and 32-bit integers, floats) are clipped to 0..=255.

use std::borrow::Cow;
use std::io::Cursor;

use tiff::ColorType;
use tiff::TiffError;
use tiff::decoder::{Decoder, DecodingResult, Limits};
use tiff::tags::Tag;

use super::channels::{cmyk_to_rgb, ycbcr_to_rgba};
use super::decode::{PIXEL_BYTES, Picture, buffer, checked_size, memory_limit_bytes};
use super::{ImageError, ImageLimits};

const FORMAT: &str = "TIFF";
/// Four samples of 64 bits.
const DECODER_BYTES_PER_PIXEL: u64 = 32;
/// `ExtraSamples` of colours already multiplied by alpha.
const ASSOCIATED_ALPHA: u16 = 1;

/// `PhotometricInterpretation` of palette images.
const PALETTE: u16 = 3;
/// `Compression` by JPEG, where the decoder hands over chroma of full size.
const JPEG: u16 = 7;
/// The version number of a TIFF with 32-bit offsets.
const CLASSIC: u16 = 42;
/// Length of a directory entry of such a file.
const ENTRY_BYTES: usize = 12;

/// What the samples of a pixel mean.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Grey,
    GreyAlpha,
    Palette,
    Rgb,
    Rgba,
    Cmyk,
    YCbCr,
}

/// Samples of one image brought to 8 bits, one byte a sample.
struct Samples {
    bytes: Vec<u8>,
    /// From a pixel to the next.
    pixel_step: usize,
    /// From a sample of a pixel to its next.
    sample_step: usize,
}

fn broken(error: TiffError) -> ImageError {
    match error {
        TiffError::UnsupportedError(what) => ImageError::unsupported(FORMAT, what),
        TiffError::LimitsExceeded => ImageError::corrupt(FORMAT, "its tables ask for more memory than its pixels can need"),
        other => ImageError::corrupt(FORMAT, other),
    }
}

/// Decodes the first image of a TIFF.
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, ImageError> {
    let mut decoder = Decoder::new(Cursor::new(Cow::Borrowed(bytes))).map_err(broken)?;
    let (width, height) = decoder.dimensions().map_err(broken)?;
    let (width, height) = checked_size(FORMAT, u64::from(width), u64::from(height), limits)?;
    let bounds = memory_limit_bytes(width, height, DECODER_BYTES_PER_PIXEL) as usize;
    let mut decoder_limits = Limits::default();
    decoder_limits.decoding_buffer_size = bounds;
    decoder_limits.intermediate_buffer_size = bounds;
    let mut color_map = Vec::new();
    if decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).map_err(broken)? == Some(PALETTE) {
        color_map = decoder.find_tag_unsigned_vec::<u16>(Tag::ColorMap).map_err(broken)?.unwrap_or_default();
        let indices = as_grey(bytes).ok_or_else(|| ImageError::unsupported(FORMAT, "a palette in a BigTIFF"))?;
        decoder = Decoder::new(Cursor::new(Cow::Owned(indices))).map_err(broken)?;
    }
    decoder = decoder.with_limits(decoder_limits);
    let color_type = decoder.colortype().map_err(broken)?;
    let (meaning, bits, stored) = match meaning(color_type)? {
        (Meaning::Grey, bits @ 1..=8, stored) if !color_map.is_empty() => (Meaning::Palette, bits, stored),
        other => other,
    };
    if meaning == Meaning::YCbCr && decoder.find_tag_unsigned::<u16>(Tag::Compression).map_err(broken)? != Some(JPEG) {
        return Err(ImageError::unsupported(FORMAT, "YCbCr pixels that are not JPEG compressed"));
    }
    let extra = decoder.find_tag_unsigned_vec::<u16>(Tag::ExtraSamples).map_err(broken)?.unwrap_or_default();
    let in_planes = stored > 1 && decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).map_err(broken)? == Some(2);
    let mut decoded = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut decoded).map_err(broken)?;
    let keeps_clip = matches!(meaning, Meaning::Grey);
    let mut bytes = to_bytes(decoded, keeps_clip)?;
    if bits < 8 {
        bytes = unpack(&bytes, width, height, stored, bits, meaning != Meaning::Palette);
    }
    let (pixel_step, sample_step) = if in_planes { (1, width * height) } else { (stored, 1) };
    let samples = Samples { bytes, pixel_step, sample_step };
    let mut pixels = buffer(FORMAT, width * height * PIXEL_BYTES)?;
    for (at, pixel) in pixels.chunks_exact_mut(PIXEL_BYTES).enumerate() {
        pixel.copy_from_slice(&pixel_of(&samples, at, meaning, &color_map));
    }
    let has_alpha = matches!(meaning, Meaning::GreyAlpha | Meaning::Rgba);
    if meaning == Meaning::Rgba && extra.first() == Some(&ASSOCIATED_ALPHA) {
        undo_alpha(&mut pixels);
    }
    Ok(Picture { width, height, pixels, has_alpha })
}

/// A copy of the file whose first image says that its palette indices are greys, since the decoder refuses palettes; none for a
/// BigTIFF or where the entry is not found.
fn as_grey(bytes: &[u8]) -> Option<Vec<u8>> {
    let little = bytes.starts_with(b"II");
    let word = |at: usize| -> Option<u16> {
        let pair = bytes.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(if little { u16::from_le_bytes(pair) } else { u16::from_be_bytes(pair) })
    };
    if word(2) != Some(CLASSIC) {
        return None;
    }
    let four = bytes.get(4..8)?.try_into().ok()?;
    let directory = (if little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }) as usize;
    let mut entries = (0..usize::from(word(directory)?)).map(|entry| directory + 2 + entry * ENTRY_BYTES);
    let value = entries.find(|&at| word(at) == Some(Tag::PhotometricInterpretation.to_u16()))? + ENTRY_BYTES - 4;
    let mut copy = bytes.to_vec();
    copy.get_mut(value..value + 2)?.copy_from_slice(&if little { [1, 0] } else { [0, 1] });
    Some(copy)
}

/// What the samples mean, bits a sample, samples a pixel.
fn meaning(color_type: ColorType) -> Result<(Meaning, u8, usize), ImageError> {
    Ok(match color_type {
        ColorType::Gray(bits) => (Meaning::Grey, bits, 1),
        ColorType::GrayA(bits) => (Meaning::GreyAlpha, bits, 2),
        ColorType::RGB(bits) => (Meaning::Rgb, bits, 3),
        ColorType::RGBA(bits) => (Meaning::Rgba, bits, 4),
        ColorType::CMYK(bits) => (Meaning::Cmyk, bits, 4),
        ColorType::CMYKA(bits) => (Meaning::Cmyk, bits, 5),
        ColorType::YCbCr(8) => (Meaning::YCbCr, 8, 3),
        ColorType::Multiband { bit_depth, num_samples: samples @ 2 } => (Meaning::GreyAlpha, bit_depth, usize::from(samples)),
        other => return Err(ImageError::unsupported(FORMAT, format!("{other:?} pixels"))),
    })
}

/// Samples of any width as bytes: clipped when `clip`, else their high byte.
fn to_bytes(decoded: DecodingResult, clip: bool) -> Result<Vec<u8>, ImageError> {
    let clipped = |value: f64| value.clamp(0.0, 255.0) as u8;
    Ok(match decoded {
        DecodingResult::U8(values) => values,
        DecodingResult::U16(values) if clip => values.into_iter().map(|value| value.min(255) as u8).collect(),
        DecodingResult::U16(values) => values.into_iter().map(|value| (value >> 8) as u8).collect(),
        DecodingResult::I16(values) if clip => values.into_iter().map(|value| value.clamp(0, 255) as u8).collect(),
        DecodingResult::U32(values) if clip => values.into_iter().map(|value| value.min(255) as u8).collect(),
        DecodingResult::I32(values) if clip => values.into_iter().map(|value| value.clamp(0, 255) as u8).collect(),
        DecodingResult::F32(values) if clip => values.into_iter().map(|value| clipped(f64::from(value))).collect(),
        DecodingResult::F64(values) if clip => values.into_iter().map(clipped).collect(),
        _ => return Err(ImageError::unsupported(FORMAT, "samples of this width and colour")),
    })
}

/// Samples of 1, 2 or 4 bits, rows padded to bytes, as one byte each; `full_range` stretches them to 0..=255.
fn unpack(packed: &[u8], width: usize, height: usize, samples: usize, bits: u8, full_range: bool) -> Vec<u8> {
    let row_samples = width * samples;
    let row_bytes = (row_samples * usize::from(bits)).div_ceil(8);
    let largest = ((1u16 << bits) - 1) as u8;
    let mut unpacked = Vec::with_capacity(row_samples * height);
    for row in packed.chunks(row_bytes.max(1)) {
        for at in 0..row_samples {
            let first_bit = at * usize::from(bits);
            let byte = row.get(first_bit / 8).copied().unwrap_or(0);
            let shift = 8u8.saturating_sub(bits).saturating_sub((first_bit % 8) as u8);
            let value = (byte >> shift) & largest;
            unpacked.push(if full_range { value * (255 / largest) } else { value });
        }
    }
    unpacked
}

/// The colour of pixel `at`; samples that the file does not hold count as zero.
fn pixel_of(samples: &Samples, at: usize, meaning: Meaning, color_map: &[u16]) -> [u8; PIXEL_BYTES] {
    let sample = |index: usize| samples.bytes.get(at * samples.pixel_step + index * samples.sample_step).copied().unwrap_or(0);
    match meaning {
        Meaning::Grey => [sample(0), sample(0), sample(0), u8::MAX],
        Meaning::GreyAlpha => [sample(0), sample(0), sample(0), sample(1)],
        Meaning::Rgb => [sample(0), sample(1), sample(2), u8::MAX],
        Meaning::Rgba => [sample(0), sample(1), sample(2), sample(3)],
        Meaning::Cmyk => {
            let [red, green, blue] = cmyk_to_rgb([sample(0), sample(1), sample(2), sample(3)]);
            [red, green, blue, u8::MAX]
        }
        Meaning::YCbCr => ycbcr_to_rgba([sample(0), sample(1), sample(2)]),
        Meaning::Palette => {
            let colors = color_map.len() / 3;
            let entry = |plane: usize| color_map.get(plane * colors + usize::from(sample(0))).map_or(0, |value| (value >> 8) as u8);
            [entry(0), entry(1), entry(2), u8::MAX]
        }
    }
}

/// Divides the colours by the alpha they were multiplied with, rounding down as Pillow does.
fn undo_alpha(pixels: &mut [u8]) {
    for pixel in pixels.chunks_exact_mut(PIXEL_BYTES) {
        let alpha = u16::from(pixel[3]);
        for value in &mut pixel[..3] {
            *value = (u16::from(*value) * 255).checked_div(alpha).unwrap_or(0).min(255) as u8;
        }
    }
}

//! The meaning of a TIFF's samples, from its tags: the combinations that Pillow reads, with its meaning, and names for those that
//! are not read.

use flambeau_codecs::tiff::{Blocks, Tags};

use super::{FORMAT, ImageError};

/// `Compression`: none.
pub(super) const NONE: u16 = 1;
/// `Compression`: JPEG, where libjpeg converts YCbCr to RGB.
const JPEG: u16 = 7;
/// `PlanarConfiguration`: each sample in a plane of its own.
const PLANES: u16 = 2;
/// `ExtraSamples` of colors already multiplied by alpha.
const MULTIPLIED: u16 = 1;
/// `ExtraSamples` of alpha; the second is Corel Draw's.
const ALPHA: [u16; 2] = [2, 999];
/// Maximum number of samples in addition to the colors that Pillow accepts.
const MOST_EXTRA: usize = 3;

/// The kind of a pixel's first samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Color {
    Gray,
    Palette,
    Rgb,
    Cmyk,
    /// Of full chroma.
    YCbCr,
    /// The result of libtiff's own conversion.
    ByLibtiff,
}

/// The kind of the sample after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Alpha {
    None,
    Plain,
    Multiplied,
}

/// How to read a pixel.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kind {
    pub color: Color,
    pub alpha: Alpha,
    /// Bits of a sample: 1, 2, 4, 8, 12, 16 or 32.
    pub bits: u16,
    /// 1 unsigned, 2 signed, 3 floating point.
    pub format: u16,
    /// Samples a pixel in the file.
    pub stored: usize,
    /// How many of them, from the first, are color or alpha.
    pub used: usize,
    /// Whether each sample is in a plane of its own.
    pub planes: bool,
    /// Whether zero is white.
    pub inverted: bool,
}

/// The kind of the samples. `extra_is_given`: whether the file has the tag `ExtraSamples`, so that it is not libtiff's guess.
pub(super) fn of(tags: &Tags, blocks: &Blocks, extra_is_given: bool) -> Result<Kind, ImageError> {
    check_compression(tags.compression)?;
    let mut extra = if extra_is_given { tags.extra.as_slice() } else { &[] };
    let mut samples = usize::from(tags.samples);
    let planes = tags.planar == PLANES && samples > 1;
    if planes && extra.iter().all(|&meaning| meaning == 0) {
        // Planes without a meaning are not read.
        samples = samples.saturating_sub(extra.len());
        extra = &[];
    }
    let colors = match tags.photometric {
        2 | 6 => 3,
        5 => 4,
        _ => 1,
    };
    let (bits, format) = (tags.bits, tags.sample_format);
    let color = match (tags.photometric, format, bits, samples) {
        (0, 1, 1 | 2 | 4 | 8 | 16, 1) | (0, 3, 32, 1) => Color::Gray,
        (1, 1, 1 | 2 | 4 | 8 | 12 | 16 | 32, 1) | (1, 2, 8 | 16 | 32, 1) | (1, 3, 32, 1) | (1, 1, 8, 2) => Color::Gray,
        (2, 1, 8 | 16, 3..) => Color::Rgb,
        (3, 1, 1 | 2 | 4 | 8, 1) | (3, 1, 8, 2) => Color::Palette,
        (5, 1, 8, 4..) | (5, 1, 16, 4) => Color::Cmyk,
        (6, 1, 8, 1) if tags.compression == NONE => Color::Gray,
        (6, 1, 8, 3) => ycbcr(tags, blocks),
        _ => return Err(not_read(tags)),
    };
    let alpha = match (color, samples - colors, extra) {
        (_, 0, []) => Alpha::None,
        // If the file does not define it, the fourth sample of RGB is alpha.
        (Color::Rgb, 1, []) => Alpha::Plain,
        (_, beyond, [first, others @ ..])
            if beyond == extra.len() && beyond <= MOST_EXTRA && others.iter().all(|&meaning| meaning == 0) =>
        {
            match *first {
                0 => Alpha::None,
                MULTIPLIED if color != Color::Cmyk && color != Color::Palette => Alpha::Multiplied,
                first if ALPHA.contains(&first) && color != Color::Cmyk => Alpha::Plain,
                _ => return Err(not_read(tags)),
            }
        }
        _ => return Err(not_read(tags)),
    };
    if color == Color::Palette && tags.palette.iter().any(Vec::is_empty) {
        return Err(ImageError::corrupt(FORMAT, "its palette is missing"));
    }
    let used = colors + usize::from(alpha != Alpha::None);
    // As in Pillow: grays of 16 bits and more are taken as they are.
    let inverted = tags.photometric == 0 && bits <= 8;
    Ok(Kind { color, alpha, bits, format, stored: usize::from(tags.samples), used, planes, inverted })
}

/// JPEG's YCbCr comes as RGB. If it is uncompressed, Pillow takes the samples as they are, if there are enough for full chroma.
fn ycbcr(tags: &Tags, blocks: &Blocks) -> Color {
    let whole = u64::from(blocks.width) * u64::from(blocks.height) * 3;
    match tags.compression {
        JPEG if tags.planar != PLANES => Color::Rgb,
        NONE if tags.planar != PLANES && blocks.first_stored_bytes >= whole => Color::YCbCr,
        _ => Color::ByLibtiff,
    }
}

/// Those that both Pillow and its libtiff know.
fn check_compression(compression: u16) -> Result<(), ImageError> {
    let name = match compression {
        1..=5 | JPEG | 8 | 32_771 | 32_773 | 32_809 | 32_946 | 34_925 | 50_000 => return Ok(()),
        6 => "old-style JPEG",
        34_661 => "JBIG",
        32_909 => "PixarLog",
        33_003 | 33_005 | 34_712 => "JPEG 2000",
        34_676 | 34_677 => "SGI Log",
        34_887 => "LERC",
        50_001 => "WebP",
        50_002 => "JPEG XL",
        other => return Err(ImageError::unsupported(FORMAT, format!("compression {other}"))),
    };
    Err(ImageError::unsupported(FORMAT, format!("{name} compression")))
}

fn not_read(tags: &Tags) -> ImageError {
    let color = match tags.photometric {
        0 | 1 => "gray",
        2 => "RGB",
        3 => "palette",
        4 => "mask",
        5 => "CMYK",
        6 => "YCbCr",
        8..=10 => "Lab",
        32_803 => "raw sensor",
        32_844 | 32_845 => "logarithmic",
        _ => "unknown",
    };
    let format = match tags.sample_format {
        1 => "",
        2 => "signed ",
        3 => "floating-point ",
        _ => "odd ",
    };
    let extra = if tags.extra.is_empty() { String::new() } else { format!(", extra samples {:?}", tags.extra) };
    ImageError::unsupported(FORMAT, format!("{color} pixels of {} {format}samples of {} bits{extra}", tags.samples, tags.bits))
}

//! The headers of a BMP: sizes, the meaning of a pixel's bits, the palette, and where the pixels begin.

use super::{FORMAT, ImageError, PIXEL_BYTES, cut};

/// Length of the file header, before the information header.
const FILE_HEADER_BYTES: usize = 14;
/// The information header of OS/2 1, with 16-bit sizes.
const OS2_BYTES: usize = 12;
/// The short form of OS/2 2's, which no program writes.
const SHORT_OS2_BYTES: usize = 16;
/// From this length on the bit fields are in the header itself.
const HAS_FIELDS_BYTES: usize = 52;
/// From this length on there is one for alpha.
const HAS_ALPHA_FIELD_BYTES: usize = 56;

/// The meaning of a pixel's bits.
#[derive(Clone, Copy)]
pub(super) enum Layout {
    /// An index of 1, 4 or 8 bits.
    Palette,
    /// Two bytes: five bits of blue, five or six of green, five of red.
    Fives { green_bits: u32 },
    /// Positions of bytes within the pixel.
    Bytes { red: usize, green: usize, blue: usize, alpha: Option<usize> },
}

/// How pixels are stored.
#[derive(Clone, Copy)]
pub(super) enum Coding {
    Plain,
    Runs { four_bits: bool },
}

/// The contents of the headers.
pub(super) struct Header {
    /// In pixels.
    pub width: u32,
    /// In pixels.
    pub height: u32,
    /// Whether the first row in the file is the picture's first.
    pub from_top: bool,
    /// Bits a pixel.
    pub bits: usize,
    pub layout: Layout,
    pub coding: Coding,
    /// RGBA by index; black past the end of the file's palette.
    pub palette: Box<[[u8; PIXEL_BYTES]; 256]>,
    /// Where the pixels begin, in bytes from the start of the file.
    pub data_offset: usize,
}

/// Little-endian numbers at places in a header.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn word(&self, at: usize) -> Result<u32, ImageError> {
        let pair = self.0.get(at..at + 2).ok_or_else(|| cut("header"))?;
        Ok(pair.iter().rev().fold(0, |value, &byte| value << 8 | u32::from(byte)))
    }

    fn double(&self, at: usize) -> Result<u32, ImageError> {
        Ok(self.word(at)? | self.word(at + 2)? << 16)
    }
}

impl Header {
    /// Reads the headers and the palette of `bytes`, which begin with `BM` and a known header length.
    pub(super) fn read(bytes: &[u8]) -> Result<Self, ImageError> {
        let file = Fields(bytes);
        let header_bytes = file.double(FILE_HEADER_BYTES)? as usize;
        if header_bytes == SHORT_OS2_BYTES {
            return Err(ImageError::unsupported(FORMAT, format!("a header of {header_bytes} bytes")));
        }
        let end = FILE_HEADER_BYTES + header_bytes;
        let header = Fields(bytes.get(FILE_HEADER_BYTES..end).ok_or_else(|| cut("header"))?);
        let old = header_bytes == OS2_BYTES;
        let (width, height, bits) = if old {
            (header.word(4)?, header.word(6)?, header.word(10)?)
        } else {
            (header.double(4)?, header.double(8)?, header.word(14)?)
        };
        // A negative height means that rows come from the top.
        let from_top = !old && height >= 0xFF00_0000;
        let compression = if old { 0 } else { header.double(16)? };
        let named_colors = if old { 0 } else { header.double(32)? };
        // A header without room for the bit fields has three of them after it.
        let fields_follow = compression == 3 && header_bytes < HAS_FIELDS_BYTES;
        let layout = layout(bits, compression, header_bytes, &file)?;
        let coding = match compression {
            1 | 2 if matches!(layout, Layout::Palette) => Coding::Runs { four_bits: compression == 2 },
            _ => Coding::Plain,
        };
        let mut at = end + if fields_follow { 12 } else { 0 };
        let mut data_offset = file.double(10)? as usize;
        let mut palette = Box::new([[0, 0, 0, u8::MAX]; 256]);
        if matches!(layout, Layout::Palette) {
            let entry_bytes = if old { 3 } else { 4 };
            let colors = if named_colors == 0 { 1 << bits } else { named_colors as usize };
            if colors > 1 << 16 {
                return Err(ImageError::corrupt(FORMAT, format!("a palette of {colors} colors")));
            }
            let entries = bytes.get(at..).unwrap_or_default().chunks_exact(entry_bytes).take(colors);
            for (color, entry) in palette.iter_mut().zip(entries) {
                *color = [entry[2], entry[1], entry[0], u8::MAX];
            }
            complete(&mut palette, bits, colors);
            if data_offset == end {
                // Some writers forget that the palette is between.
                data_offset += entry_bytes * colors;
            }
            at += entry_bytes * colors;
        }
        if data_offset == 0 {
            data_offset = at;
        }
        let height = if from_top { height.wrapping_neg() } else { height };
        Ok(Self { width, height, from_top, bits: bits as usize, layout, coding, palette, data_offset })
    }
}

/// As in Pillow: a palette that begins like a ramp of grays is continued as one.
fn complete(palette: &mut [[u8; PIXEL_BYTES]; 256], bits: u32, colors: usize) {
    let gray = |index: usize, value: u8| palette[index] == [value, value, value, u8::MAX];
    match (bits, colors) {
        (1, 1) if gray(0, 0) => palette[1] = [u8::MAX; PIXEL_BYTES],
        (8, 3..=255) if (0..colors).all(|index| gray(index, index as u8)) => {
            for (index, color) in palette.iter_mut().enumerate().skip(colors) {
                *color = [index as u8, index as u8, index as u8, u8::MAX];
            }
        }
        _ => {}
    }
}

/// The meaning of a pixel's bits, from their number, the compression and the bit fields.
fn layout(bits: u32, compression: u32, header_bytes: usize, file: &Fields<'_>) -> Result<Layout, ImageError> {
    let unsupported = |what: String| Err(ImageError::unsupported(FORMAT, what));
    let bgr = Layout::Bytes { red: 2, green: 1, blue: 0, alpha: None };
    match (compression, bits) {
        // Pillow reads run-length coded files of 1 bit as well, since runs are bytes of indices.
        (0, 1 | 4 | 8) | (1 | 2, 1 | 4 | 8) => Ok(Layout::Palette),
        (0, 16) => Ok(Layout::Fives { green_bits: 5 }),
        (0, 24 | 32) => Ok(bgr),
        (3, 16 | 24 | 32) => {
            let field = |number: usize| file.double(FILE_HEADER_BYTES + 40 + 4 * number);
            let alpha = if header_bytes >= HAS_ALPHA_FIELD_BYTES { field(3)? } else { 0 };
            of_fields(bits, [field(0)?, field(1)?, field(2)?], alpha)
        }
        (4, _) => unsupported("an embedded JPEG".into()),
        (5, _) => unsupported("an embedded PNG".into()),
        (0..=3, other) => unsupported(format!("{other} bits a pixel and compression {compression}")),
        (other, _) => unsupported(format!("compression {other}")),
    }
}

fn of_fields(bits: u32, fields: [u32; 3], alpha: u32) -> Result<Layout, ImageError> {
    let bytes = |red, green, blue, alpha| Ok(Layout::Bytes { red, green, blue, alpha });
    match (bits, fields, alpha) {
        (16, [0xF800, 0x7E0, 0x1F], _) => Ok(Layout::Fives { green_bits: 6 }),
        (16, [0x7C00, 0x3E0, 0x1F], _) => Ok(Layout::Fives { green_bits: 5 }),
        (24, [0xFF_0000, 0xFF00, 0xFF], _) | (32, [0xFF_0000, 0xFF00, 0xFF], 0) => bytes(2, 1, 0, None),
        (32, [0xFF_0000, 0xFF00, 0xFF], 0xFF00_0000) | (32, [0, 0, 0], 0) => bytes(2, 1, 0, Some(3)),
        (32, [0xFF00_0000, 0xFF_0000, 0xFF00], 0) => bytes(3, 2, 1, None),
        (32, [0xFF00_0000, 0xFF_0000, 0xFF00], 0xFF) => bytes(3, 2, 1, Some(0)),
        (32, [0xFF00_0000, 0xFF00, 0xFF], 0) => bytes(3, 1, 0, None),
        (32, [0xFF00_0000, 0xFF00, 0xFF], 0xFF_0000) => bytes(3, 1, 0, Some(2)),
        (32, [0xFF, 0xFF00, 0xFF_0000], 0xFF00_0000) => bytes(0, 1, 2, Some(3)),
        _ => {
            let [red, green, blue] = fields;
            Err(ImageError::unsupported(FORMAT, format!("bit fields {red:#x}, {green:#x}, {blue:#x}, {alpha:#x} of {bits} bits")))
        }
    }
}

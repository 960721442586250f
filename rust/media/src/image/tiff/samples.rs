//! Strips and tiles into one byte per sample, pixel by pixel.
//!
//! Depths as Pillow's `convert("RGB")` treats them: colors of 16 bits keep their high byte; grays of more than 8 bits (integers and
//! floats) are clipped to 0..=255; grays of fewer are stretched to it.

use flambeau_codecs::tiff::{Blocks, Tags, Tiff};

use super::kind::{Color, Kind, NONE};
use super::{FORMAT, ImageError, buffer, of_codec};

/// The place of a block in the picture, clipped to it, in pixels.
struct Place {
    x: usize,
    y: usize,
    width: usize,
    height: usize,
}

/// All `kind.used` samples of every pixel, rows from the top as stored.
pub(super) fn read(bytes: &[u8], file: &mut Tiff<'_>, tags: &Tags, blocks: &Blocks, kind: &Kind) -> Result<Vec<u8>, ImageError> {
    let (width, height) = (tags.width as usize, tags.height as usize);
    let (block_width, block_height) = (blocks.width as usize, blocks.height as usize);
    let across = width.div_ceil(block_width);
    let of_plane = across * height.div_ceil(block_height);
    // Samples of a pixel that lie together in a block.
    let together = if kind.planes { 1 } else { kind.stored };
    let mut packed = Packed::new(bytes, tags, blocks, together * usize::from(kind.bits));
    let is_little = packed.is_little;
    let mut samples = buffer(FORMAT, width * height * kind.used)?;
    let mut row = vec![0; block_width.min(width) * together];
    for plane in 0..if kind.planes { kind.used } else { 1 } {
        for number in 0..of_plane {
            let (x, y) = (number % across * block_width, number / across * block_height);
            let place = Place { x, y, width: block_width.min(width - x), height: block_height.min(height - y) };
            packed.read(file, plane * of_plane + number, &place)?;
            for at in 0..place.height {
                let row = &mut row[..place.width * together];
                unpack(packed.row(at, place.width)?, kind, is_little, row);
                let first = ((place.y + at) * width + place.x) * kind.used;
                let out = &mut samples[first..first + place.width * kind.used];
                if kind.planes {
                    out.iter_mut().skip(plane).step_by(kind.used).zip(row.iter()).for_each(|(out, sample)| *out = *sample);
                } else {
                    for (out, pixel) in out.chunks_exact_mut(kind.used).zip(row.chunks_exact(together)) {
                        out.copy_from_slice(&pixel[..kind.used]);
                    }
                }
            }
        }
    }
    Ok(samples)
}

/// The bytes of one block at a time: directly from the file, or decompressed.
struct Packed<'a> {
    bytes: &'a [u8],
    uncompressed: bool,
    reversed: bool,
    is_little: bool,
    pixel_bits: usize,
    row_bytes: usize,
    block: Blocks,
    /// Where the block begins in `bytes`.
    start: usize,
    /// The decompressed block; one row of it if the order of bits had to be reversed.
    buffer: Vec<u8>,
}

impl<'a> Packed<'a> {
    fn new(bytes: &'a [u8], tags: &Tags, blocks: &Blocks, pixel_bits: usize) -> Self {
        let uncompressed = tags.compression == NONE;
        let is_little = if uncompressed { bytes.starts_with(b"II") } else { cfg!(target_endian = "little") };
        let row_bytes = (blocks.width as usize * pixel_bits).div_ceil(8);
        let reversed = uncompressed && tags.fill_order == 2;
        Self { bytes, uncompressed, reversed, is_little, pixel_bits, row_bytes, block: *blocks, start: 0, buffer: Vec::new() }
    }

    fn read(&mut self, file: &mut Tiff<'_>, number: usize, place: &Place) -> Result<(), ImageError> {
        let number = u32::try_from(number).ok().filter(|&number| number < self.block.count);
        let number = number.ok_or_else(|| ImageError::corrupt(FORMAT, "it has too few strips or tiles"))?;
        if self.uncompressed {
            let start = file.offset(number).and_then(|offset| usize::try_from(offset).ok());
            self.start = start.ok_or_else(|| ImageError::corrupt(FORMAT, "a strip or tile has no place in the file"))?;
            return Ok(());
        }
        if self.block.row_bytes != self.row_bytes as u64 {
            return Err(ImageError::corrupt(FORMAT, "its rows have another length than its samples"));
        }
        let rows = if self.block.tiled { self.block.height as usize } else { place.height };
        if self.buffer.len() != rows * self.row_bytes {
            self.buffer = buffer(FORMAT, rows * self.row_bytes)?;
        }
        file.block(number, &mut self.buffer).map_err(of_codec(FORMAT))
    }

    /// The bytes of `width` pixels in row `at` of the block.
    fn row(&mut self, at: usize, width: usize) -> Result<&[u8], ImageError> {
        let length = (width * self.pixel_bits).div_ceil(8);
        let cut = || ImageError::corrupt(FORMAT, "the file is cut off within its pixels");
        if !self.uncompressed {
            let start = at * self.row_bytes;
            return self.buffer.get(start..start + length).ok_or_else(cut);
        }
        let start = self.start.checked_add(at * self.row_bytes).ok_or_else(cut)?;
        let row = start.checked_add(length).and_then(|end| self.bytes.get(start..end)).ok_or_else(cut)?;
        if !self.reversed {
            return Ok(row);
        }
        self.buffer.clear();
        self.buffer.extend(row.iter().map(|byte| byte.reverse_bits()));
        Ok(&self.buffer)
    }
}

/// Samples of a row to one byte each.
fn unpack(row: &[u8], kind: &Kind, is_little: bool, into: &mut [u8]) {
    let gray = kind.color == Color::Gray;
    let pairs = |pair: &[u8]| if is_little { u16::from_le_bytes([pair[0], pair[1]]) } else { u16::from_be_bytes([pair[0], pair[1]]) };
    let fours = |four: &[u8]| {
        let four = [four[0], four[1], four[2], four[3]];
        if is_little { u32::from_le_bytes(four) } else { u32::from_be_bytes(four) }
    };
    let wide = into.iter_mut();
    match (kind.bits, kind.format) {
        (1 | 2 | 4, _) => unpack_bits(row, usize::from(kind.bits), gray, into),
        (12, _) => unpack_twelve(row, into),
        (16, 2) => wide.zip(row.chunks_exact(2)).for_each(|(out, pair)| *out = (pairs(pair) as i16).clamp(0, 255) as u8),
        (16, _) if gray => wide.zip(row.chunks_exact(2)).for_each(|(out, pair)| *out = pairs(pair).min(255) as u8),
        (16, _) => wide.zip(row.chunks_exact(2)).for_each(|(out, pair)| *out = (pairs(pair) >> 8) as u8),
        (32, 3) => wide.zip(row.chunks_exact(4)).for_each(|(out, four)| *out = f32::from_bits(fours(four)).clamp(0.0, 255.0) as u8),
        // Pillow has no unsigned integers of 32 bits: those above the largest signed one are below zero.
        (32, _) => wide.zip(row.chunks_exact(4)).for_each(|(out, four)| *out = (fours(four) as i32).clamp(0, 255) as u8),
        _ => into.copy_from_slice(&row[..into.len()]),
    }
    if kind.inverted {
        into.iter_mut().for_each(|value| *value = u8::MAX - *value);
    }
}

/// Samples of 1, 2 or 4 bits, the first in the highest; `full_range` stretches them to 0..=255.
fn unpack_bits(row: &[u8], bits: usize, full_range: bool, into: &mut [u8]) {
    let largest = ((1_u16 << bits) - 1) as u8;
    let factor = if full_range { 255 / largest } else { 1 };
    for (at, out) in into.iter_mut().enumerate() {
        let shift = 8 - bits - at * bits % 8;
        *out = (row[at * bits / 8] >> shift & largest) * factor;
    }
}

/// Two samples in three bytes, clipped to 0..=255.
fn unpack_twelve(row: &[u8], into: &mut [u8]) {
    for (at, out) in into.iter_mut().enumerate() {
        let (first, second) = (u16::from(row[at * 3 / 2]), u16::from(row[at * 3 / 2 + 1]));
        let value = if at.is_multiple_of(2) { first << 4 | second >> 4 } else { (first & 15) << 8 | second };
        *out = value.min(255) as u8;
    }
}

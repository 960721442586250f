//! Windows and OS/2 bitmaps: headers of 12, 40, 52, 56, 64, 108 and 124 bytes (12 and 64 are OS/2's). Pixels have 1, 4, 8, 16, 24
//! or 32 bits, plain or as bit fields, RLE4 or RLE8. Rows start at the bottom or the top.
//!
//! Written here, since the available decoders differ from Pillow for some real files. They differ in a data offset that forgets
//! the palette, five bits stretched to eight, OS/2 headers, and the fourth byte of a 32-bit pixel (alpha only if the bit fields
//! declare it).

mod header;
mod runs;

use super::picture::{Orientation, PIXEL_BYTES, Picture, buffer, checked_size};
use super::{ImageError, ImageLimits};
use header::{Coding, Header, Layout};

const FORMAT: &str = "BMP";

fn cut(what: &str) -> ImageError {
    ImageError::corrupt(FORMAT, format!("the file ends within its {what}"))
}

/// Decodes a BMP.
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, ImageError> {
    let header = Header::read(bytes)?;
    let (width, height) = checked_size(FORMAT, u64::from(header.width), u64::from(header.height), limits)?;
    let data = bytes.get(header.data_offset..).unwrap_or_default();
    let mut pixels = buffer(FORMAT, width * height * PIXEL_BYTES)?;
    match header.coding {
        Coding::Plain => plain(data, width, &header, &mut pixels)?,
        Coding::Runs { four_bits } => {
            let indices = runs::expand(data, header.data_offset, width, height, four_bits)?;
            let rows = indices.chunks_exact(width);
            for (row, indices) in rows_in_file_order(&mut pixels, width, header.from_top).zip(rows) {
                for (pixel, &index) in row.chunks_exact_mut(PIXEL_BYTES).zip(indices) {
                    pixel.copy_from_slice(&header.palette[usize::from(index)]);
                }
            }
        }
    }
    let has_alpha = matches!(header.layout, Layout::Bytes { alpha: Some(_), .. });
    Ok(Picture { width, height, pixels, has_alpha, orientation: Orientation::UPRIGHT })
}

/// The rows of the picture in the order in which the file has them.
fn rows_in_file_order(pixels: &mut [u8], width: usize, from_top: bool) -> Box<dyn Iterator<Item = &mut [u8]> + '_> {
    let rows = pixels.chunks_exact_mut(width * PIXEL_BYTES);
    if from_top { Box::new(rows) } else { Box::new(rows.rev()) }
}

/// Rows of packed pixels, each padded to four bytes (the last row's padding may be missing).
fn plain(data: &[u8], width: usize, header: &Header, pixels: &mut [u8]) -> Result<(), ImageError> {
    let row_bits = width * header.bits;
    let stride = row_bits.div_ceil(32) * 4;
    for (at, row) in rows_in_file_order(pixels, width, header.from_top).enumerate() {
        let start = at * stride;
        let packed = data.get(start..start + row_bits.div_ceil(8)).ok_or_else(|| cut("pixels"))?;
        for (x, pixel) in row.chunks_exact_mut(PIXEL_BYTES).enumerate() {
            pixel.copy_from_slice(&color(packed, x, header));
        }
    }
    Ok(())
}

/// The color of pixel `x` of a row.
fn color(row: &[u8], x: usize, header: &Header) -> [u8; PIXEL_BYTES] {
    match header.layout {
        Layout::Palette => {
            let first_bit = x * header.bits;
            let shift = 8 - header.bits - first_bit % 8;
            let index = usize::from(row[first_bit / 8] >> shift) & ((1 << header.bits) - 1);
            header.palette[index]
        }
        Layout::Fives { green_bits } => {
            let pixel = u32::from(row[2 * x]) | u32::from(row[2 * x + 1]) << 8;
            let stretch = |value: u32, bits: u32| {
                let largest = (1 << bits) - 1;
                ((value & largest) * 255 / largest) as u8
            };
            [stretch(pixel >> (5 + green_bits), 5), stretch(pixel >> 5, green_bits), stretch(pixel, 5), u8::MAX]
        }
        Layout::Bytes { red, green, blue, alpha } => {
            let pixel = &row[x * header.bits / 8..];
            [pixel[red], pixel[green], pixel[blue], alpha.map_or(u8::MAX, |at| pixel[at])]
        }
    }
}

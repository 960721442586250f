//! Run-length coding of bitmaps: pairs of a count and an index, with escapes for the end of a row, jumps and uncompressed runs.

use super::{FORMAT, ImageError, buffer, cut};

/// One index per pixel, in the order of the file. Skipped pixels have index 0; an end before the last row is an error.
pub(super) fn expand(data: &[u8], data_offset: usize, width: usize, height: usize, four_bits: bool) -> Result<Vec<u8>, ImageError> {
    let mut indices = buffer(FORMAT, width * height)?;
    let mut rest = data.iter().copied();
    let mut next = || rest.next();
    // Bytes read so far, to find even offsets in the file; pixels written so far; position in the row.
    let (mut taken, mut at, mut x) = (0, 0, 0);
    while at < indices.len() {
        let (Some(count), Some(value)) = (next(), next()) else { break };
        taken += 2;
        match (usize::from(count), value) {
            (0, 0) => {
                at = at.next_multiple_of(width);
                x = 0;
            }
            (0, 1) => break,
            (0, 2) => {
                let (Some(right), Some(up)) = (next(), next()) else { break };
                taken += 2;
                at = (at + usize::from(right) + usize::from(up) * width).min(indices.len());
                x = at % width;
            }
            (0, plain) => {
                let room = indices.len() - at;
                let pixels = usize::from(plain).min(room);
                let bytes = if four_bits { pixels.div_ceil(2) } else { pixels };
                for byte_at in 0..bytes {
                    let Some(byte) = next() else { return Err(cut("pixels")) };
                    let pair = if four_bits { [byte >> 4, byte & 15] } else { [byte, byte] };
                    let first = at + if four_bits { 2 * byte_at } else { byte_at };
                    indices[first] = pair[0];
                    if four_bits && 2 * byte_at + 1 < pixels {
                        indices[first + 1] = pair[1];
                    }
                }
                taken += bytes;
                at += pixels;
                x += usize::from(plain);
                if !(data_offset + taken).is_multiple_of(2) {
                    next();
                    taken += 1;
                }
            }
            (count, value) => {
                // A run ends with its row.
                let pixels = if x + count > width { width.saturating_sub(x) } else { count };
                let pair = if four_bits { [value >> 4, value & 15] } else { [value, value] };
                for number in 0..pixels.min(indices.len() - at) {
                    indices[at + number] = pair[number % 2];
                }
                at += pixels;
                x += pixels;
            }
        }
    }
    if at < indices.len() { Err(cut("pixels")) } else { Ok(indices) }
}

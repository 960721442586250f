//! The segments before the first scan, read as Pillow reads them: it rejects errors here that libjpeg would skip with a warning.

use super::{FORMAT, ImageError};

/// The last frame header before the first scan.
pub(super) struct Frame {
    pub width: u32,
    pub height: u32,
    pub components: u32,
}

fn cut() -> ImageError {
    ImageError::corrupt(FORMAT, "the file is cut off before its first scan")
}

/// Walks the segments up to the first scan.
pub(super) fn frame(bytes: &[u8]) -> Result<Frame, ImageError> {
    let mut frame = None;
    // After the first two bytes: the third is the 0xFF of the first segment.
    let mut at = 2;
    loop {
        // Bytes between segments are skipped, as are repeated 0xFF and the stuffed 0xFF 0x00.
        at += bytes.get(at..).unwrap_or_default().iter().position(|&byte| byte == 0xFF).ok_or_else(cut)?;
        let marker = *bytes.get(at + 1).ok_or_else(cut)?;
        match marker {
            0xFF => at += 1,
            0x00 => at += 2,
            0x01..=0xBF => return Err(ImageError::corrupt(FORMAT, format!("0xFF{marker:02X} where a segment should begin"))),
            // Without a segment: restarts, start and end of image, extensions.
            0xC8 | 0xD0..=0xD9 | 0xF0..=0xFD => at += 2,
            0xC0..=0xFE => {
                let segment = segment(bytes, at + 2)?;
                match marker {
                    0xC0..=0xC3 | 0xC5..=0xC7 | 0xC9..=0xCB | 0xCD..=0xCF | 0xDE => frame = Some(frame_header(segment)?),
                    0xDB => check_tables(segment)?,
                    0xDA => return frame.ok_or_else(|| ImageError::corrupt(FORMAT, "a scan before the frame header")),
                    _ => {}
                }
                at += 4 + segment.len();
            }
        }
    }
}

/// The bytes of the segment whose length is at `at`.
fn segment(bytes: &[u8], at: usize) -> Result<&[u8], ImageError> {
    let pair: [u8; 2] = bytes.get(at..at + 2).and_then(|pair| pair.try_into().ok()).ok_or_else(cut)?;
    let length = usize::from(u16::from_be_bytes(pair)).saturating_sub(2);
    bytes.get(at + 2..at + 2 + length).ok_or_else(cut)
}

fn frame_header(segment: &[u8]) -> Result<Frame, ImageError> {
    let &[bits, high_1, high_0, wide_1, wide_0, components, ref layers @ ..] = segment else { return Err(cut()) };
    if bits != 8 {
        return Err(ImageError::unsupported(FORMAT, format!("{bits} bits a sample")));
    }
    if !matches!(components, 1 | 3 | 4) {
        return Err(ImageError::unsupported(FORMAT, format!("{components} components (1, 3 and 4 are read)")));
    }
    if !layers.len().is_multiple_of(3) {
        return Err(ImageError::corrupt(FORMAT, "the frame header has an odd length"));
    }
    let number = |high, low| u32::from(u16::from_be_bytes([high, low]));
    Ok(Frame { width: number(wide_1, wide_0), height: number(high_1, high_0), components: u32::from(components) })
}

/// Whether quantization tables fill their segment.
fn check_tables(mut tables: &[u8]) -> Result<(), ImageError> {
    while let Some(&head) = tables.first() {
        let length = if head >> 4 == 0 { 65 } else { 129 };
        tables = tables.get(length..).ok_or_else(|| ImageError::corrupt(FORMAT, "a quantization table is cut off"))?;
    }
    Ok(())
}

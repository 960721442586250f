//! EXIF orientation: reading the tag and turning the picture upright.

use std::io::Cursor;

use exif::{In, Reader, Tag};

use super::decode::{PIXEL_BYTES, Picture};

/// The orientation (1 to 8) that the file's EXIF data gives; 1, upright, when there is none or it is damaged.
pub(super) fn read(bytes: &[u8]) -> u32 {
    let Ok(found) = Reader::new().read_from_container(&mut Cursor::new(bytes)) else { return 1 };
    let value = found.get_field(Tag::Orientation, In::PRIMARY).and_then(|field| field.value.get_uint(0));
    value.filter(|orientation| (1..=8).contains(orientation)).unwrap_or(1)
}

/// Turns a picture stored with `orientation` upright.
pub(super) fn turn(picture: Picture, orientation: u32) -> Picture {
    if !(2..=8).contains(&orientation) {
        return picture;
    }
    let Picture { width, height, pixels, has_alpha } = picture;
    let transposed = orientation >= 5;
    let (new_width, new_height) = if transposed { (height, width) } else { (width, height) };
    let from_right = matches!(orientation, 2 | 3 | 7 | 8);
    let from_bottom = matches!(orientation, 3 | 4 | 6 | 7);
    let mut turned = Vec::with_capacity(pixels.len());
    for y in 0..new_height {
        for x in 0..new_width {
            let (column, row) = if transposed { (y, x) } else { (x, y) };
            let column = if from_right { width - 1 - column } else { column };
            let row = if from_bottom { height - 1 - row } else { row };
            let at = (row * width + column) * PIXEL_BYTES;
            turned.extend_from_slice(&pixels[at..at + PIXEL_BYTES]);
        }
    }
    Picture { width: new_width, height: new_height, pixels: turned, has_alpha }
}

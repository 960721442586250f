//! EXIF orientation: reading the tag.

use std::io::Cursor;

use exif::{In, Reader, Tag};

use super::picture::Orientation;

/// The orientation that the file's EXIF data gives; upright when there is none or it is damaged.
pub(super) fn read(bytes: &[u8]) -> Orientation {
    let Ok(found) = Reader::new().read_from_container(&mut Cursor::new(bytes)) else { return Orientation::UPRIGHT };
    let value = found.get_field(Tag::Orientation, In::PRIMARY).and_then(|field| field.value.get_uint(0));
    value.map_or(Orientation::UPRIGHT, Orientation)
}

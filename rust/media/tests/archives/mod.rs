//! The archives of pictures that `tests/parity/picture_archives.py` makes, next to the other references.

#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::{Path, PathBuf};

/// The folder of the references: `FLAMBEAU_IMAGE_REFERENCE`, otherwise that of the checkout.
pub fn folder() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    std::env::var_os("FLAMBEAU_IMAGE_REFERENCE").map_or_else(|| checkout.join("build/image-reference"), PathBuf::from)
}

/// A file of an archive.
pub struct Archived {
    /// Its name, which ends with that of its format.
    pub name: String,
    /// Its bytes.
    pub file: Vec<u8>,
    /// Pillow's width, height and RGB bytes.
    pub expected: Option<(usize, usize, Vec<u8>)>,
}

/// The files of an archive of the reference folder.
pub fn read(name: &str) -> Vec<Archived> {
    let bytes = std::fs::read(folder().join(name)).expect("an archive of pictures");
    let mut rest = bytes.as_slice();
    let mut take = |count: usize| {
        let (taken, after) = rest.split_at_checked(count)?;
        rest = after;
        Some(taken.to_vec())
    };
    let number = |four: Vec<u8>| u32::from_le_bytes(four.try_into().expect("four bytes")) as usize;
    let mut found = Vec::new();
    while let Some(length) = take(4) {
        let mut part = |count| take(count).expect("a whole record");
        let name = String::from_utf8(part(number(length))).expect("a name");
        let file_bytes = number(part(4));
        let file = part(file_bytes);
        let expected = (number(part(4)) == 1).then(|| {
            let (width, height) = (number(part(4)), number(part(4)));
            (width, height, part(width * height * 3))
        });
        found.push(Archived { name, file, expected });
    }
    found
}

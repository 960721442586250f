//! Reads the facts of the first directory that libtiff does not return: whether a tag is really there, and how many values it has.

/// `StripOffsets` and `TileOffsets`.
const OFFSETS: [u64; 2] = [273, 324];
/// `ExtraSamples`. libtiff fills it in if a file has more samples than colors; Pillow then takes the fourth of RGB for alpha.
const EXTRA_SAMPLES: u64 = 338;

/// Whether the first directory has the tag `ExtraSamples`; `false` if the file is not a TIFF.
pub(super) fn has_extra_samples(bytes: &[u8]) -> bool {
    tags(bytes).is_some_and(|mut tags| tags.any(|(tag, _)| tag == EXTRA_SAMPLES))
}

/// How many strips or tiles the first directory lists; 0 if the file is not a TIFF.
pub(super) fn listed_blocks(bytes: &[u8]) -> u64 {
    let counts = tags(bytes).into_iter().flatten().filter(|(tag, _)| OFFSETS.contains(tag)).map(|(_, count)| count);
    counts.max().unwrap_or(0)
}

/// The tags of the first directory, each with its number of values.
fn tags(bytes: &[u8]) -> Option<impl Iterator<Item = (u64, u64)> + '_> {
    let little = bytes.starts_with(b"II");
    let number = move |at: usize, length: usize| -> Option<u64> {
        let digits = bytes.get(at..at.checked_add(length)?)?;
        let add = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
        Some(if little { digits.iter().rev().fold(0, add) } else { digits.iter().fold(0, add) })
    };
    // A BigTIFF has wider numbers in the same places.
    let big = number(2, 2)? == 43;
    let (offset_at, offset_bytes, count_bytes, entry_bytes) = if big { (8, 8, 8, 20) } else { (4, 4, 2, 12) };
    let directory = usize::try_from(number(offset_at, offset_bytes)?).ok()?;
    let count = usize::try_from(number(directory, count_bytes)?).ok()?;
    let first = directory.checked_add(count_bytes)?;
    Some((0..count).map_while(move |entry| {
        let at = first.checked_add(entry.checked_mul(entry_bytes)?)?;
        Some((number(at, 2)?, number(at.checked_add(4)?, offset_bytes)?))
    }))
}

#[cfg(test)]
mod tests {
    use super::{has_extra_samples, listed_blocks};

    #[test]
    fn a_tag_is_found_in_every_kind_of_file() {
        let little =
            [&b"II\x2a\0\x08\0\0\0\x02\0"[..], b"\0\x01\x03\0\x01\0\0\0\x01\0\0\0", b"\x52\x01\x03\0\x01\0\0\0\x02\0\0\0"].concat();
        assert!(has_extra_samples(&little) && !has_extra_samples(&little[..22]));
        let big = [&b"MM\0\x2b\0\x08\0\0\0\0\0\0\0\0\0\x10\0\0\0\0\0\0\0\x01"[..], b"\x01\x52\0\x03\0\0\0\0\0\0\0\x01\0\x02\0\0\0\0\0\0"]
            .concat();
        assert!(has_extra_samples(&big));
        let strips = [&b"II\x2a\0\x08\0\0\0\x01\0"[..], b"\x11\x01\x04\0\x07\0\0\0\x01\0\0\0"].concat();
        assert_eq!((listed_blocks(&strips), listed_blocks(&big)), (7, 0));
        assert!(!has_extra_samples(b"II\x2a\0\xff\xff\xff\xff") && !has_extra_samples(b""));
    }
}

//! Checks Ogg's pages before their packets are decoded.
//!
//! The reader of packets skips pages that are damaged or missing, as a player would. But a row is the whole clip or an error, so
//! every page must follow the one before it, with a correct checksum. Consecutive streams (as in a recorded radio station) have
//! no common rate or number of channels and are rejected.

use symphonia::core::checksum::Crc32;
use symphonia::core::io::Monitor;

use crate::audio::AudioError;

const PAGE_HEADER_BYTES: usize = 27;

/// Maximum number of parallel streams.
const MOST_STREAMS: usize = 64;

/// The pages of `bytes`, without data after the last one.
///
/// # Errors
/// [`AudioError::Corrupt`] for a page that is damaged or missing, [`AudioError::Unsupported`] for a second stream after the first.
pub(super) fn pages(bytes: &[u8]) -> Result<&[u8], AudioError> {
    // Serial number and number of the last page of every parallel stream.
    let mut streams: Vec<(u32, u32)> = Vec::new();
    let (mut at, mut begun) = (0, false);
    while let Some(page) = Page::read(&bytes[at..]) {
        let damaged = || AudioError::Corrupt(format!("the Ogg page at byte {at} is damaged"));
        let end = at + page.bytes;
        if page.checksum != checksum(bytes.get(at..end).ok_or_else(damaged)?) {
            return Err(damaged());
        }
        let side_by_side = streams.len();
        let known = streams.iter_mut().find(|(serial, _)| *serial == page.serial);
        match known {
            _ if page.is_first && begun => return Err(AudioError::Unsupported("several streams one after the other".to_owned())),
            None if side_by_side == MOST_STREAMS => {
                return Err(AudioError::Unsupported(format!("more than {MOST_STREAMS} streams side by side")));
            }
            None => streams.push((page.serial, page.number)),
            Some((_, number)) if number.wrapping_add(1) == page.number => *number = page.number,
            Some(_) => return Err(AudioError::Corrupt(format!("an Ogg page is missing before byte {at}"))),
        }
        begun |= !page.is_first;
        at = end;
    }
    // Data after the last page is ignored, unless pages follow it.
    if bytes[at..].windows(5).any(|five| five == b"OggS\0") {
        return Err(AudioError::Corrupt(format!("the Ogg page at byte {at} is damaged")));
    }
    Ok(&bytes[..at])
}

struct Page {
    is_first: bool,
    serial: u32,
    number: u32,
    checksum: u32,
    bytes: usize,
}

impl Page {
    /// The header of the page at the start of `bytes`.
    fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.get(..PAGE_HEADER_BYTES).filter(|head| head.starts_with(b"OggS\0"))?;
        let number = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let segments = usize::from(head[26]);
        let lengths = bytes.get(PAGE_HEADER_BYTES..PAGE_HEADER_BYTES + segments)?;
        let body: usize = lengths.iter().map(|&length| usize::from(length)).sum();
        Some(Self {
            is_first: head[5] & 2 != 0,
            serial: number(14),
            number: number(18),
            checksum: number(22),
            bytes: PAGE_HEADER_BYTES + segments + body,
        })
    }
}

/// The checksum of a page, computed with zeros in its place.
fn checksum(page: &[u8]) -> u32 {
    let mut crc = Crc32::new(0);
    crc.process_buf_bytes(&page[..22]);
    crc.process_buf_bytes(&[0; 4]);
    crc.process_buf_bytes(&page[26..]);
    crc.crc()
}

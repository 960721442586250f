//! Checks MP3's frames before they are decoded.
//!
//! After a lost frame the reader searches for the next one, as a player would. But a row is the whole clip or an error, so every
//! frame must follow the one before it. The first frame of many files is silent and holds the number of the others. Its extension
//! has the padding that the encoder added at both ends. The reader uses it for some encoders only, and only with a correct
//! checksum. libmpg123, and so libsndfile, uses it for all. So this module rewrites it such that the reader uses it too.

use std::io::{Cursor, Read};

use super::tags;
use crate::audio::AudioError;

/// kbit/s of layer III, of MPEG 1 and of the lower rates.
const BIT_RATES: [[usize; 14]; 2] =
    [[32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320], [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]];

/// The encoder whose numbers the reader takes.
const ENCODER: &[u8; 4] = b"LAME";

/// The frames at the start of `bytes`, without data after the last one.
///
/// # Errors
/// [`AudioError::Corrupt`] if frames follow other data, [`AudioError::Unsupported`] for layers I and II.
pub(super) fn frames(bytes: &[u8]) -> Result<impl Read + Send + Sync + '_, AudioError> {
    let first = Frame::read(bytes).ok_or_else(|| match bytes.get(1).map(|second| second >> 1 & 3) {
        Some(2) => AudioError::Unsupported("MPEG audio of layer II; convert to WAV, FLAC, MP3 or Ogg Vorbis".to_owned()),
        Some(3) => AudioError::Unsupported("MPEG audio of layer I; convert to WAV, FLAC, MP3 or Ogg Vorbis".to_owned()),
        _ => AudioError::Corrupt("the first frame of the MP3 is damaged".to_owned()),
    })?;
    let next = |at: usize| bytes.get(at..).and_then(Frame::read).filter(|frame| frame.kind == first.kind);
    let mut at = 0;
    while at < bytes.len() {
        match next(at) {
            Some(frame) => at += frame.bytes,
            // Concatenated files have tags in the middle.
            None => match tags::id3v2(&bytes[at..]) {
                Some(tag) => at += tag,
                None => break,
            },
        }
    }
    let at = at.min(bytes.len());
    // Two frames in a row cannot be a coincidence.
    let any = |from: usize| bytes.get(from..).and_then(Frame::read);
    let two = |from: usize| any(from).filter(|one| any(from + one.bytes).is_some_and(|two| two.kind == one.kind));
    match (at..bytes.len()).find_map(two) {
        Some(frame) if frame.kind != first.kind => return Err(AudioError::Corrupt(format!("the kind of MP3 changes at byte {at}"))),
        Some(_) => return Err(AudioError::Corrupt(format!("the MP3 frame at byte {at} is damaged"))),
        None => {}
    }
    let (head, rest) = bytes[..at].split_at(first.bytes.min(at));
    Ok(Cursor::new(believed(head, &first)).chain(rest))
}

/// The first frame, with an extension that the reader takes, if there is one.
fn believed(frame: &[u8], header: &Frame) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let tag = 4 + header.side_bytes;
    if !matches!(frame.get(tag..tag + 4), Some(b"Xing" | b"Info")) {
        return frame;
    }
    let flags = frame.get(tag + 7).copied().unwrap_or(0);
    let fields = [4, 4, 100, 4].into_iter().enumerate().filter(|(bit, _)| flags & 1 << bit != 0);
    let extension = tag + 8 + fields.map(|(_, bytes)| bytes).sum::<usize>();
    if flags & 1 == 0 || frame.len() < extension + 36 {
        return frame;
    }
    frame[extension..extension + 4].copy_from_slice(ENCODER);
    // A checksum of zero means that there is none.
    frame[extension + 34..extension + 36].fill(0);
    frame
}

/// The header of a frame of layer III.
struct Frame {
    /// The properties that all frames of a stream share: version, layer and rate.
    kind: [u8; 2],
    side_bytes: usize,
    bytes: usize,
}

impl Frame {
    fn read(bytes: &[u8]) -> Option<Self> {
        let head: [u8; 4] = *bytes.first_chunk()?;
        let (version, layer) = (head[1] >> 3 & 3, head[1] >> 1 & 3);
        let rate: usize = *[44_100, 48_000, 32_000].get(usize::from(head[2] >> 2 & 3))?;
        if head[0] != 0xff || head[1] & 0xe0 != 0xe0 || version == 1 || layer != 1 {
            return None;
        }
        let is_first_version = version == 3;
        let bit_rate = BIT_RATES[usize::from(!is_first_version)].get(usize::from(head[2] >> 4).checked_sub(1)?)?;
        let (rate, frame_bits) = match version {
            3 => (rate, 144_000),
            2 => (rate / 2, 72_000),
            _ => (rate / 4, 72_000),
        };
        let side_bytes = match (is_first_version, head[3] >> 6 == 3) {
            (true, false) => 32,
            (true, true) | (false, false) => 17,
            (false, true) => 9,
        };
        let padding = usize::from(head[2] >> 1 & 1);
        Some(Self { kind: [head[1] & 0xfe, head[2] & 0x0c], side_bytes, bytes: frame_bits * bit_rate / rate + padding })
    }
}

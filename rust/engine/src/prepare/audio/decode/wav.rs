//! WAV files that were written to a pipe.
//!
//! A program that cannot seek back writes a length that stands for "unknown" into the header (2^32 - 1, or just under
//! 2^31). Such a file is complete, but its reader would miss the last block; so the true length is put in first.

/// Lengths from here on mean "unknown" when the file is shorter.
const UNKNOWN_LENGTH: u32 = 0x7fff_0000;

/// A copy of a WAV file with the true lengths in its header, when they were unknown to its writer; `None` for all others.
pub(super) fn with_true_length(bytes: &[u8]) -> Option<Vec<u8>> {
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
        return None;
    }
    let mut offset = 12;
    loop {
        let length_at = offset + 4..offset + 8;
        let length = u32::from_le_bytes(bytes.get(length_at.clone())?.try_into().ok()?);
        let content = offset + 8;
        if &bytes[offset..offset + 4] == b"data" {
            let real = bytes.len() - content;
            if length < UNKNOWN_LENGTH || real >= length as usize {
                return None;
            }
            let real = u32::try_from(real).ok()?;
            let mut repaired = bytes.to_vec();
            repaired[length_at].copy_from_slice(&real.to_le_bytes());
            repaired[4..8].copy_from_slice(&real.saturating_add(content as u32 - 8).to_le_bytes());
            return Some(repaired);
        }
        // Chunks are padded to even lengths.
        offset = content.checked_add(length as usize)?.checked_add(length as usize % 2)?;
    }
}

//! Real WAV files, converted to the form that every reader knows.
//!
//! Programs write lengths of RIFF and `data` that are unknown (a pipe), zero or too short. They forget to pad a chunk, write
//! G.711 with a `fmt` chunk of 16 bytes or as an extensible format, or use the 64-bit variants RF64 and BW64. None of this
//! changes the samples. So the chunks are read here, and the reader gets a new header before the same samples, which are not
//! copied.
//!
//! Samples whose bits do not fill their bytes are in the upper bits, as the format requires.

use super::adpcm::Adpcm;
use crate::audio::AudioError;

/// Lengths from here on mean "unknown" when the file is shorter: 2^32 - 1, or just under 2^31.
const UNKNOWN_LENGTH: u64 = 0x7fff_0000;

/// The end of the GUID of every sub-format for a format tag; that of ambisonics differs, but the samples do not.
const TAG_GUIDS: [[u8; 12]; 2] =
    [[0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71], [0x21, 0x07, 0xd3, 0x11, 0x86, 0x44, 0xc8, 0xc1, 0xca, 0, 0, 0]];

/// Maximum number of channels of a file.
const MAX_CHANNELS: u16 = 26;

/// Whether this is a WAV file or one of its 64-bit twins.
pub(super) fn is_wav(bytes: &[u8]) -> bool {
    let magic = bytes.get(..4).unwrap_or_default();
    matches!(magic, b"RIFF" | b"RF64" | b"BW64") && bytes.get(8..12) == Some(b"WAVE")
}

/// The content of a WAV file.
pub(super) enum Wav<'a> {
    /// Samples, and a header that every reader knows.
    Plain { header: Vec<u8>, samples: &'a [u8] },
    /// A sound that is decoded here.
    Adpcm(Adpcm<'a>),
}

/// Finds format and samples.
pub(super) fn open(bytes: &[u8]) -> Result<Wav<'_>, AudioError> {
    let (mut at, mut format, mut long_length) = (12, None, None);
    loop {
        let Some(head) = bytes.get(at..at + 8) else {
            return Err(AudioError::Corrupt("the WAV file ends before its samples".to_owned()));
        };
        let (start, length) = (at + 8, read_u32(head, 4));
        match &head[..4] {
            b"ds64" => long_length = bytes.get(start + 8..start + 16).and_then(<[u8]>::first_chunk).map(|eight| u64::from_le_bytes(*eight)),
            b"fmt " => format = Some(bytes.get(start..start.saturating_add(length as usize)).unwrap_or_default()),
            b"data" => {
                let Some(format) = format else {
                    return Err(AudioError::Corrupt("the WAV file has no format before its samples".to_owned()));
                };
                let samples = samples(&bytes[start..], length, long_length)?;
                if format.len() >= 16 && matches!(read_u16(format, 0), 2 | 0x11) {
                    return Adpcm::new(format, samples).map(Wav::Adpcm);
                }
                let (format, block) = plain_format(format)?;
                let samples = &samples[..samples.len() - samples.len() % block];
                return Ok(Wav::Plain { header: header(&format, samples.len()), samples });
            }
            _ => {}
        }
        at = next_chunk(bytes, start, length as usize);
    }
}

/// The samples at the start of `rest`.
fn samples(rest: &[u8], length: u32, long_length: Option<u64>) -> Result<&[u8], AudioError> {
    let length = match long_length {
        Some(long) if length == u32::MAX && long > 0 => long,
        _ => u64::from(length),
    };
    if length <= rest.len() as u64 {
        Ok(&rest[..length as usize])
    } else if length >= UNKNOWN_LENGTH {
        Ok(rest)
    } else {
        Err(AudioError::Corrupt(format!("the file ends after {} of {length} bytes of samples", rest.len())))
    }
}

/// Where the chunk after one of `length` bytes at `start` begins. Chunks are padded to even lengths, but some writers omit the padding.
fn next_chunk(bytes: &[u8], start: usize, length: usize) -> usize {
    let end = start.saturating_add(length);
    let known = |at: usize| matches!(bytes.get(at..at.saturating_add(4)), Some(b"data" | b"fmt " | b"LIST" | b"fact" | b"ds64"));
    if length % 2 == 1 && (known(end.saturating_add(1)) || !known(end)) { end.saturating_add(1) } else { end }
}

/// A `fmt` chunk without its unneeded extension, and the bytes of a block of samples.
fn plain_format(chunk: &[u8]) -> Result<(Vec<u8>, usize), AudioError> {
    if chunk.len() < 16 {
        return Err(AudioError::Corrupt(format!("a WAV format of {} bytes", chunk.len())));
    }
    let (channels, rate, block, bits) = (read_u16(chunk, 2), read_u32(chunk, 4), read_u16(chunk, 12), read_u16(chunk, 14));
    let tag = match read_u16(chunk, 0) {
        0xfffe if chunk.len() >= 40 && TAG_GUIDS.iter().any(|guid| &chunk[28..40] == guid) => read_u32(chunk, 24),
        tag => u32::from(tag),
    };
    if channels == 0 {
        return Err(AudioError::Corrupt("a WAV file of 0 channels".to_owned()));
    }
    if channels > MAX_CHANNELS {
        return Err(AudioError::Unsupported(format!("{channels} channels; at most {MAX_CHANNELS} are read")));
    }
    // 24 bits in blocks of four bytes are 32 bits, the lowest of them empty.
    let bytes_each = if bits == 24 && block == channels * 4 { 4 } else { bits.div_ceil(8) };
    let (bytes_each, extension) = match (tag, bytes_each) {
        (1, 1..=4) | (3, 4 | 8) => (bytes_each, 0),
        (6 | 7, _) => (1, 2),
        _ => return Err(AudioError::Unsupported(format!("WAV of format {tag:#06x} with {bits} bits"))),
    };
    let block = channels * bytes_each;
    let mut plain = Vec::with_capacity(18);
    plain.extend((tag as u16).to_le_bytes());
    plain.extend(channels.to_le_bytes());
    plain.extend(rate.to_le_bytes());
    plain.extend(rate.saturating_mul(u32::from(block)).to_le_bytes());
    plain.extend(block.to_le_bytes());
    plain.extend((bytes_each * 8).to_le_bytes());
    plain.resize(16 + extension, 0);
    Ok((plain, usize::from(block)))
}

/// The header for `length` bytes of samples.
fn header(format: &[u8], length: usize) -> Vec<u8> {
    let length = u32::try_from(length).unwrap_or(u32::MAX);
    let mut header = b"RIFF".to_vec();
    header.extend(length.saturating_add((20 + format.len()) as u32).to_le_bytes());
    header.extend(b"WAVEfmt ");
    header.extend((format.len() as u32).to_le_bytes());
    header.extend(format);
    header.extend(b"data");
    header.extend(length.to_le_bytes());
    header
}

fn read_u16(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

//! FLAC, frame by frame.
//!
//! A reader that looks for the next frame by its sync word loses the last one if a tag follows it. It also skips frames of
//! another rate, another number of channels or a wrong checksum. Here a frame begins where the previous one ends, and it ends
//! where its checksum fits. Bytes between two frames and missing frames are errors. Only the first block of the metadata is used;
//! data after the number of samples in it is ignored.

use symphonia::core::checksum::{Crc8Ccitt, Crc16Ansi};
use symphonia::core::codecs::audio::well_known::CODEC_ID_FLAC;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::io::Monitor;
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::FlacDecoder;

use super::Mono;
use crate::audio::AudioError;

/// Bytes of the block that describes the stream.
const STREAM_INFO_BYTES: usize = 34;

/// Number of ends that are tried for a frame if no known data follows it.
const MOST_ENDS: usize = 64;

/// The properties that all frames of a stream share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Format {
    rate: u32,
    channels: u32,
    bits: u32,
}

/// Decodes a whole file.
pub(super) fn decode(bytes: &[u8], mono: &mut Mono) -> Result<(), AudioError> {
    let (info, mut at) = metadata(bytes)?;
    let format = Format::of(info);
    let promised = Some(u64::from(info[13] & 15) << 32 | u64::from(read_u32(info, 14))).filter(|&samples| samples > 0);
    mono.begin(format.rate, promised)?;
    let mut decoder = decoder(info)?;
    while promised.is_none_or(|samples| mono.len() < samples) {
        let Some(frame) = Frame::read(&bytes[at..], format) else { break };
        frame.check(format).map_err(|cause| mono.failed(cause))?;
        at += decode_frame(&bytes[at..], &frame, format, &mut decoder, mono)?;
    }
    mono.check_length(promised)?;
    if let Some(samples) = promised {
        mono.truncate(samples);
    }
    if promised.is_none() && (at..bytes.len()).any(|from| Frame::read(&bytes[from..], format).is_some()) {
        return Err(mono.failed("a frame is damaged"));
    }
    Ok(())
}

/// Rejects a frame inside of another stream (Ogg) if it differs from the first one, whose format is in `first`.
pub(super) fn check_packet(packet: &[u8], first: &[u8]) -> Result<(), String> {
    match first.len() {
        STREAM_INFO_BYTES => {
            let format = Format::of(first);
            Frame::read(packet, format).map_or(Ok(()), |frame| frame.check(format))
        }
        _ => Ok(()),
    }
}

/// The first block of metadata, and where the first frame begins.
fn metadata(bytes: &[u8]) -> Result<(&[u8], usize), AudioError> {
    let bad = |cause: &str| AudioError::Corrupt(format!("FLAC {cause}"));
    let (mut at, mut info) = (4, None);
    loop {
        let head = bytes.get(at..at + 4).ok_or_else(|| bad("that ends in its metadata"))?;
        let length = usize::from(head[1]) << 16 | usize::from(head[2]) << 8 | usize::from(head[3]);
        at += 4;
        if head[0] & 0x7f == 0 && info.is_none() {
            info = bytes.get(at..at + STREAM_INFO_BYTES);
        }
        at = at.saturating_add(length).min(bytes.len());
        if head[0] & 0x80 != 0 {
            return Ok((info.ok_or_else(|| bad("without a description of its stream"))?, at));
        }
    }
}

/// A decoder that takes frames of any length: the limits in the file are not needed.
fn decoder(info: &[u8]) -> Result<FlacDecoder, AudioError> {
    let mut info = info.to_vec();
    info[..10].copy_from_slice(&[0, 16, 0xff, 0xff, 0, 0, 0, 0, 0, 0]);
    let mut parameters = AudioCodecParameters::new();
    parameters.for_codec(CODEC_ID_FLAC).with_extra_data(info.into_boxed_slice());
    FlacDecoder::try_new(&parameters, &AudioDecoderOptions::default()).map_err(|error| AudioError::Corrupt(error.to_string()))
}

/// Decodes the frame that `bytes` begin with and gives its length in bytes.
fn decode_frame(bytes: &[u8], frame: &Frame, format: Format, decoder: &mut FlacDecoder, mono: &mut Mono) -> Result<usize, AudioError> {
    let mut decode = |end: usize| {
        let packet = PacketRef::new(0, Timestamp::ZERO, Duration::ZERO, &bytes[..end]);
        decoder.decode_ref(&packet).map_err(|error| mono.failed(error)).and_then(|buffer| mono.push(&buffer)).map(|()| end)
    };
    let ends = ends(bytes, frame, format);
    let mut result = None;
    for &end in &ends {
        let decoded = decode(end);
        // A checksum that fits by chance, before the real end, leaves too few bits.
        if !matches!(decoded, Err(AudioError::Corrupt(_))) {
            return decoded;
        }
        result.get_or_insert(decoded);
    }
    result.unwrap_or_else(|| Err(mono.failed("a frame is damaged or not finished")))
}

/// Where the frame may end: where its checksum fits and the file ends or the next frame begins; otherwise at any place where its
/// checksum fits.
fn ends(bytes: &[u8], frame: &Frame, format: Format) -> Vec<usize> {
    let (mut crc, mut found) = (Crc16Ansi::new(0), Vec::new());
    crc.process_buf_bytes(&bytes[..frame.header_bytes]);
    for end in frame.header_bytes + 2..=bytes.len() {
        if crc.crc().to_be_bytes() == bytes[end - 2..end] {
            if end == bytes.len() || Frame::read(&bytes[end..], format).is_some() {
                return vec![end];
            }
            if found.len() < MOST_ENDS {
                found.push(end);
            }
        }
        crc.process_byte(bytes[end - 2]);
    }
    found
}

impl Format {
    fn of(info: &[u8]) -> Self {
        Self {
            rate: read_u32(info, 10) >> 12,
            channels: u32::from(info[12] >> 1 & 7) + 1,
            bits: (u32::from(info[12] & 1) << 4 | u32::from(info[13] >> 4)) + 1,
        }
    }
}

/// The header of a frame.
struct Frame {
    format: Format,
    header_bytes: usize,
    difference: bool,
}

impl Frame {
    /// The header at the start of `bytes`, if there is one; missing values are taken from `stream`.
    fn read(bytes: &[u8], stream: Format) -> Option<Self> {
        let head = bytes.get(..5)?;
        if head[0] != 0xff || head[1] & 0xfe != 0xf8 || head[3] & 1 != 0 {
            return None;
        }
        // The number of the frame is encoded like a UTF-8 character, in up to seven bytes.
        let number_bytes = match head[4].leading_ones() {
            0 => 1,
            ones @ 2..=7 => ones as usize,
            _ => return None,
        };
        let (size_code, rate_code) = (head[2] >> 4, head[2] & 15);
        let size_bytes = match size_code {
            0 => return None,
            6 => 1,
            7 => 2,
            _ => 0,
        };
        let at = 4 + number_bytes + size_bytes;
        let byte = |offset: usize| bytes.get(at + offset).map(|&byte| u32::from(byte));
        let wide = || Some(byte(0)? << 8 | byte(1)?);
        const RATES: [u32; 11] = [88_200, 176_400, 192_000, 8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000];
        let (rate, rate_bytes) = match rate_code {
            0 => (stream.rate, 0),
            12 => (byte(0)? * 1_000, 1),
            13 => (wide()?, 2),
            14 => (wide()? * 10, 2),
            15 => return None,
            code => (RATES[usize::from(code) - 1], 0),
        };
        let channels = match head[3] >> 4 {
            code @ 0..=7 => u32::from(code) + 1,
            8..=10 => 2,
            _ => return None,
        };
        let bits = match head[3] >> 1 & 7 {
            0 => stream.bits,
            code @ (1 | 2 | 4..=7) => [8, 12, 0, 16, 20, 24, 32][usize::from(code) - 1],
            _ => return None,
        };
        let end = at + rate_bytes;
        let mut crc = Crc8Ccitt::new(0);
        crc.process_buf_bytes(bytes.get(..end)?);
        let format = Format { rate, channels, bits };
        (bytes.get(end) == Some(&crc.crc())).then_some(Self { format, header_bytes: end + 1, difference: head[3] >> 4 >= 8 })
    }

    /// Rejects frames with a changed format, and frames that are too large for the decoder.
    fn check(&self, stream: Format) -> Result<(), String> {
        let changes = |what: &str, from: u32, to: u32| Err(format!("the {what} changes from {from} to {to}"));
        if self.format.rate != stream.rate {
            return Err(format!("the sample rate changes from {} Hz to {} Hz", stream.rate, self.format.rate));
        }
        if self.format.channels != stream.channels {
            return changes("number of channels", stream.channels, self.format.channels);
        }
        if self.format.bits != stream.bits {
            return changes("number of bits", stream.bits, self.format.bits);
        }
        if self.difference && stream.bits == 32 {
            return Err("differences of 32-bit channels are not decoded".to_owned());
        }
        Ok(())
    }
}

fn read_u32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

//! Recognizes other kinds of sounds by their first bytes, so that the error can name them.

use crate::audio::AudioError;

/// Offset of the signature, the signature, and its format.
const KINDS: [(usize, &[u8], &str); 12] = [
    (4, b"ftyp", "MP4 / M4A"),
    (0, b"\x1a\x45\xdf\xa3", "Matroska / WebM"),
    (0, b"FORM", "AIFF"),
    (0, b"caff", "CAF"),
    (0, b"#!AMR", "AMR"),
    (0, b"\x30\x26\xb2\x75", "WMA"),
    (0, b"wvpk", "WavPack"),
    (0, b"MAC ", "Monkey's Audio"),
    (0, b".snd", "AU"),
    (0, b"MThd", "MIDI"),
    (0, b"RIFX", "big-endian WAV"),
    (0, b"riff\x2e\x91\xcf\x11", "Wave64"),
];

/// The error for bytes that no reader understands.
pub(super) fn refuse(bytes: &[u8]) -> AudioError {
    let starts = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((_, _, name)) = KINDS.iter().find(|(offset, magic, _)| starts(*offset, magic)) {
        return AudioError::Unsupported(format!("{name}; convert to WAV, FLAC, MP3 or Ogg Vorbis"));
    }
    if is_adts(bytes) {
        return AudioError::Unsupported("AAC; convert to WAV, FLAC, MP3 or Ogg Vorbis".to_owned());
    }
    if starts(0, b"RIFF") && bytes.len() >= 12 {
        return AudioError::Unsupported("a RIFF file that is not WAVE".to_owned());
    }
    if starts(0, b"RIFF") || starts(0, b"ID3") {
        return AudioError::Corrupt("the file ends in its header".to_owned());
    }
    AudioError::NotAudio { bytes: bytes.len() }
}

/// AAC in a stream begins like MP3, except for the two bits of the layer.
fn is_adts(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, second, ..] if second & 0xf6 == 0xf0)
}

/// Whether a stream of MPEG audio of layer 1 to 3 begins here.
pub(super) fn is_mpeg(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, second, ..] if second & 0xe0 == 0xe0 && second & 6 != 0)
}

//! Encoded bytes to mono samples.
//!
//! Symphonia (pure Rust) finds the container and decodes: WAV (integers of 8 to 32 bits, floats of 32 and 64, extensible,
//! A-law, µ-law, ADPCM), FLAC, MP3 and Ogg Vorbis. The policy here is to give all of a clip or an error, never a part of
//! it: a packet that does not decode, a file that ends before its header says so and a sample that is not finite are
//! errors of the row. Channels are averaged, as the Python pipelines do.
//!
//! Bounds: nothing is decoded past `max_seconds`, whatever the header promises. A panic in a decoder is caught and becomes
//! the error of its row; the decoder's state is dropped with it.

use std::io::{Cursor, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::audio::GenericAudioBufferRef;
use symphonia::core::codecs::audio::well_known::CODEC_ID_OPUS;
use symphonia::core::codecs::audio::{AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as DecoderError;
use symphonia::core::formats::probe::Hint;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::MediaSourceStream;
use symphonia::core::meta::MetadataOptions;

use super::{AudioError, AudioSpec};

mod wav;

/// A mono clip at the rate it was stored with.
#[derive(Debug, Clone, PartialEq)]
pub struct Waveform {
    /// Samples, full scale -1 to 1 (float files may exceed it); at least one, all finite.
    pub samples: Vec<f32>,
    /// Samples per second, 1,000 to 384,000.
    pub sample_rate: u32,
}

/// Decodes the first audio track of a file of at most `max_seconds` and averages its channels.
///
/// # Errors
/// Every [`AudioError`] but `BadSpec`.
pub fn decode(bytes: &[u8], max_seconds: f64) -> Result<Waveform, AudioError> {
    if bytes.is_empty() {
        return Err(AudioError::Empty("0 bytes"));
    }
    let repaired = wav::with_true_length(bytes);
    let bytes = repaired.as_deref().unwrap_or(bytes);
    let waveform = catch_unwind(AssertUnwindSafe(|| decode_tracks(bytes, max_seconds)))
        .unwrap_or_else(|_| Err(AudioError::Corrupt("the decoder gave up on it".to_owned())))?;
    if waveform.samples.is_empty() {
        return Err(AudioError::Empty("no samples"));
    }
    if let Some(index) = waveform.samples.iter().position(|sample| !sample.is_finite()) {
        return Err(AudioError::Corrupt(format!("sample {index} is {}", waveform.samples[index])));
    }
    Ok(waveform)
}

fn decode_tracks(bytes: &[u8], max_seconds: f64) -> Result<Waveform, AudioError> {
    let source = MediaSourceStream::new(Box::new(Cursor::new(bytes)), Default::default());
    let mut reader = symphonia::default::get_probe()
        .probe(&Hint::new(), source, FormatOptions::default(), MetadataOptions::default())
        .map_err(|error| unreadable(bytes, &error))?;
    let track = reader.default_track(TrackType::Audio).ok_or(AudioError::Empty("no audio track"))?;
    let track_id = track.id;
    let declared_frames = track.num_frames;
    let Some(parameters) = track.codec_params.as_ref().and_then(|codec| codec.audio()) else {
        return Err(AudioError::Unsupported("a track without codec parameters".to_owned()));
    };
    let mut decoder =
        symphonia::default::get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default()).map_err(|error| {
            AudioError::Unsupported(match parameters.codec {
                CODEC_ID_OPUS => "Opus is not decoded; convert to WAV, FLAC, MP3 or Ogg Vorbis".to_owned(),
                codec => format!("codec {codec}: {error}"),
            })
        })?;

    let mut mono = Mono { max_seconds, ..Mono::default() };
    if let Some(rate) = parameters.sample_rate {
        mono.set_rate(rate)?;
        if declared_frames.is_some_and(|frames| frames > mono.max_frames) {
            return Err(AudioError::TooLong { max_seconds });
        }
    }
    drain(reader.as_mut(), decoder.as_mut(), track_id, &mut mono)?;

    let decoded = mono.samples.len() as u64;
    match declared_frames {
        Some(frames) if decoded < frames => Err(AudioError::Corrupt(format!("the file ends after {decoded} of {frames} samples"))),
        _ => Ok(Waveform { samples: mono.samples, sample_rate: mono.rate }),
    }
}

/// Decodes every packet of the track.
fn drain(reader: &mut (dyn FormatReader + '_), decoder: &mut dyn AudioDecoder, track_id: u32, mono: &mut Mono) -> Result<(), AudioError> {
    loop {
        let packet = match reader.next_packet() {
            Ok(Some(packet)) if packet.track_id == track_id => packet,
            Ok(Some(_)) => continue,
            Ok(None) => return Ok(()),
            // Some readers know the end of a stream only by running into it; the caller compares with the declared length.
            Err(DecoderError::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => return Ok(()),
            Err(DecoderError::ResetRequired) => return Err(AudioError::Unsupported("several streams one after the other".to_owned())),
            Err(error) => return Err(AudioError::Corrupt(format!("after {} samples: {error}", mono.samples.len()))),
        };
        match decoder.decode(&packet) {
            Ok(buffer) => mono.push(&buffer)?,
            Err(error) => return Err(AudioError::Corrupt(format!("after {} samples: {error}", mono.samples.len()))),
        }
    }
}

/// The clip so far.
#[derive(Default)]
struct Mono {
    samples: Vec<f32>,
    interleaved: Vec<f32>,
    rate: u32,
    max_seconds: f64,
    max_frames: u64,
}

impl Mono {
    fn set_rate(&mut self, rate: u32) -> Result<(), AudioError> {
        if !AudioSpec::RATES.contains(&rate) {
            return Err(AudioError::Unsupported(format!("a sample rate of {rate} Hz")));
        }
        self.rate = rate;
        self.max_frames = (self.max_seconds * f64::from(rate)).ceil() as u64;
        Ok(())
    }

    fn push(&mut self, buffer: &GenericAudioBufferRef<'_>) -> Result<(), AudioError> {
        let (rate, channels, frames) = (buffer.spec().rate(), buffer.num_planes(), buffer.frames());
        if frames == 0 || channels == 0 {
            return Ok(());
        }
        if self.samples.is_empty() {
            self.set_rate(rate)?;
        } else if rate != self.rate {
            return Err(AudioError::Corrupt(format!("the sample rate changes from {} Hz to {rate} Hz", self.rate)));
        }
        if (self.samples.len() + frames) as u64 > self.max_frames {
            return Err(AudioError::TooLong { max_seconds: self.max_seconds });
        }
        self.interleaved.resize(frames * channels, 0.0);
        buffer.copy_to_slice_interleaved(self.interleaved.as_mut_slice());
        match channels {
            1 => self.samples.extend_from_slice(&self.interleaved),
            _ => {
                let frames = self.interleaved.chunks_exact(channels);
                self.samples.extend(frames.map(|frame| frame.iter().sum::<f32>() / channels as f32));
            }
        }
        Ok(())
    }
}

/// What to say of bytes whose container was not opened.
fn unreadable(bytes: &[u8], error: &DecoderError) -> AudioError {
    let starts = |offset: usize, magic: &[u8]| bytes.get(offset..).is_some_and(|rest| rest.starts_with(magic));
    let foreign = [
        (4, b"ftyp".as_slice(), "MP4 / M4A"),
        (0, b"\x1a\x45\xdf\xa3", "Matroska / WebM"),
        (0, b"FORM", "AIFF"),
        (0, b"caff", "CAF"),
        (0, b"#!AMR", "AMR"),
        (0, b"\x30\x26\xb2\x75", "WMA"),
        (0, b"wvpk", "WavPack"),
        (0, b"RF64", "RF64"),
    ];
    if let Some((_, _, name)) = foreign.iter().find(|(offset, magic, _)| starts(*offset, magic)) {
        return AudioError::Unsupported(format!("{name}; convert to WAV, FLAC, MP3 or Ogg Vorbis"));
    }
    if starts(0, b"RIFF") && bytes.len() >= 12 && !starts(8, b"WAVE") {
        return AudioError::Unsupported("a RIFF file that is not WAVE".to_owned());
    }
    let known = [b"RIFF".as_slice(), b"fLaC", b"OggS", b"ID3"].iter().any(|magic| starts(0, magic));
    match error {
        // The probe's own "unsupported" means that it found no stream at all; a reader's names the feature.
        DecoderError::Unsupported(feature) if known && !feature.contains("probe") => AudioError::Unsupported((*feature).to_owned()),
        _ if known => AudioError::Corrupt(error.to_string()),
        _ => AudioError::NotAudio { bytes: bytes.len() },
    }
}

#[cfg(test)]
mod tests;

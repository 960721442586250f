//! Encoded bytes to mono samples.
//!
//! Symphonia (pure Rust) decodes: WAV (integers of up to 32 bits, floats of 32 and 64, extensible, A-law, µ-law, ADPCM, RF64), FLAC,
//! MP3 and Ogg with Vorbis or FLAC. The first bytes show the container; files are not searched for a stream. `tags`, `wav`,
//! `flac`, `mp3` and `ogg` know how real files of each kind differ from the standard, and pass on data that the decoders
//! understand.
//!
//! The result is the whole clip or an error, never a part of it. These are errors of the row: a packet that does not decode, a
//! file that ends too early for its header, a rate that changes, and a sample that is not finite. Files without a length (a piped
//! WAV, an MP3 without a frame count) end where their data ends. Channels are averaged, as the Python pipelines do.
//!
//! Bounds: nothing is decoded past `max_seconds`, whatever length the header has. A panic in a decoder is caught and becomes
//! the error of its row; the decoder's state is dropped with it.

use std::io::{Cursor, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::core::codecs::audio::well_known::{CODEC_ID_FLAC, CODEC_ID_OPUS, CODEC_ID_VORBIS};
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::errors::Error as DecoderError;
use symphonia::core::formats::{FormatOptions, FormatReader, TrackType};
use symphonia::core::io::{MediaSource, MediaSourceStream, ReadOnlySource};
use symphonia::core::packet::Packet;
use symphonia::default::formats::{MpaReader, OggReader, WavReader};

use super::AudioError;

mod adpcm;
mod flac;
mod foreign;
mod mono;
mod mp3;
mod ogg;
mod tags;
mod vorbis;
mod wav;

use mono::Mono;
use wav::Wav;

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
    let sound = tags::without(bytes);
    let mut mono = Mono::new(max_seconds);
    let options = FormatOptions::default;
    // Only Ogg's reader may look ahead; without that, MP3's does not guess a length from the size of the file.
    if wav::is_wav(sound) {
        match wav::open(sound)? {
            Wav::Plain { header, samples } => {
                let file = ReadOnlySource::new(Cursor::new(header).chain(samples));
                read(&mut WavReader::try_new(stream(file), options()).map_err(unreadable)?, &mut mono)?;
            }
            Wav::Adpcm(adpcm) => adpcm.decode(&mut mono)?,
        }
    } else if sound.starts_with(b"fLaC") {
        flac::decode(sound, &mut mono)?;
    } else if sound.starts_with(b"OggS") {
        read(&mut OggReader::try_new(stream(Cursor::new(ogg::pages(sound)?)), options()).map_err(unreadable)?, &mut mono)?;
    } else if foreign::is_mpeg(without_zeros(sound)) {
        let frames = ReadOnlySource::new(mp3::frames(without_zeros(sound))?);
        read(&mut MpaReader::try_new(stream(frames), options()).map_err(unreadable)?, &mut mono)?;
    } else {
        return Err(foreign::refuse(if sound.is_empty() { bytes } else { sound }));
    }
    let (samples, sample_rate) = mono.finish();
    Ok(Waveform { samples, sample_rate })
}

fn stream<'s>(source: impl MediaSource + 's) -> MediaSourceStream<'s> {
    MediaSourceStream::new(Box::new(source), Default::default())
}

/// MP3 without the zeros that some tags leave before it.
fn without_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    &bytes[zeros..]
}

/// Decodes the first audio track.
fn read(reader: &mut dyn FormatReader, mono: &mut Mono) -> Result<(), AudioError> {
    let track = reader.default_track(TrackType::Audio).ok_or(AudioError::Empty("no audio track"))?;
    let (track_id, promised) = (track.id, track.num_frames);
    let Some(parameters) = track.codec_params.as_ref().and_then(|codec| codec.audio()) else {
        return Err(AudioError::Unsupported("a track without codec parameters".to_owned()));
    };
    let mut decoder = Decoder::new(parameters)?;
    if let Some(rate) = parameters.sample_rate {
        mono.begin(rate, promised)?;
    }
    while let Some(packet) = next_packet(reader, mono)? {
        if packet.track_id == track_id {
            decoder.decode(&packet, mono)?;
        }
    }
    mono.check_length(promised)
}

/// The next packet of any track.
fn next_packet(reader: &mut dyn FormatReader, mono: &Mono) -> Result<Option<Packet>, AudioError> {
    match reader.next_packet() {
        // Some readers return an error at the end of a stream; the caller compares with the length in the header.
        Err(DecoderError::IoError(error)) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
        Err(DecoderError::ResetRequired) => Err(AudioError::Unsupported("several streams one after the other".to_owned())),
        packet => packet.map_err(|error| mono.failed(error)),
    }
}

/// The decoder of packets.
enum Decoder {
    Symphonia { decoder: Box<dyn AudioDecoder>, flac: Option<Box<[u8]>> },
    Vorbis(Box<vorbis::Decoder>),
}

impl Decoder {
    fn new(parameters: &AudioCodecParameters) -> Result<Self, AudioError> {
        let headers = parameters.extra_data.as_deref().unwrap_or_default();
        // The number of channels is the twelfth byte of Vorbis's first header.
        if parameters.codec == CODEC_ID_VORBIS && headers.get(11).is_some_and(|&channels| channels > 2) {
            return Ok(Self::Vorbis(Box::new(vorbis::Decoder::new(headers)?)));
        }
        let decoder = symphonia::default::get_codecs().make_audio_decoder(parameters, &AudioDecoderOptions::default());
        let decoder = decoder.map_err(|error| {
            AudioError::Unsupported(match parameters.codec {
                CODEC_ID_OPUS => "Opus is not decoded; convert to WAV, FLAC, MP3 or Ogg Vorbis".to_owned(),
                codec => format!("codec {codec}: {error}"),
            })
        })?;
        Ok(Self::Symphonia { decoder, flac: (parameters.codec == CODEC_ID_FLAC).then(|| headers.into()) })
    }

    fn decode(&mut self, packet: &Packet, mono: &mut Mono) -> Result<(), AudioError> {
        match self {
            Self::Symphonia { decoder, flac } => {
                if let Some(first) = flac {
                    flac::check_packet(&packet.data, first).map_err(|cause| mono.failed(cause))?;
                }
                let buffer = decoder.decode(packet).map_err(|error| mono.failed(error))?;
                mono.push(&buffer)
            }
            Self::Vorbis(decoder) => decoder.decode(packet, mono),
        }
    }
}

/// The error for a file whose header was not understood.
fn unreadable(error: DecoderError) -> AudioError {
    match error {
        DecoderError::Unsupported(feature) => AudioError::Unsupported(feature.to_owned()),
        error => AudioError::Corrupt(error.to_string()),
    }
}

#[cfg(test)]
mod tests;

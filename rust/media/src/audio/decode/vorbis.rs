//! Vorbis of more than two channels.
//!
//! Symphonia 0.6.1 takes the wrong channels out of a pair that does not begin with the first channel. Only streams of three or
//! more channels have such pairs. lewton decodes those; its samples are libvorbis's. Symphonia still reads the packets and trims
//! the ends of the stream.

use lewton::audio::{PreviousWindowRight, read_audio_packet_generic};
use lewton::header::{IdentHeader, SetupHeader, read_header_ident, read_header_setup};
use lewton::samples::InterleavedSamples;
use symphonia::core::packet::Packet;

use super::Mono;
use crate::audio::AudioError;

/// Bytes of the first header; the second follows it.
const IDENTIFICATION_BYTES: usize = 30;

pub(super) struct Decoder {
    identification: IdentHeader,
    setup: SetupHeader,
    overlap: PreviousWindowRight,
}

impl Decoder {
    /// From both headers of the stream, one after the other.
    pub(super) fn new(headers: &[u8]) -> Result<Self, AudioError> {
        let bad = |cause: String| AudioError::Corrupt(format!("Vorbis header: {cause}"));
        let (first, second) = headers.split_at_checked(IDENTIFICATION_BYTES).ok_or_else(|| bad("it is cut off".to_owned()))?;
        let identification = read_header_ident(first).map_err(|error| bad(error.to_string()))?;
        let blocks = (identification.blocksize_0, identification.blocksize_1);
        let setup = read_header_setup(second, identification.audio_channels, blocks).map_err(|error| bad(error.to_string()))?;
        Ok(Self { identification, setup, overlap: PreviousWindowRight::new() })
    }

    /// Decodes one packet.
    pub(super) fn decode(&mut self, packet: &Packet, mono: &mut Mono) -> Result<(), AudioError> {
        // The reader already knows that the first packet only prepares for the second.
        let is_first = self.overlap.is_empty();
        let decoded = read_audio_packet_generic(&self.identification, &self.setup, &packet.data, &mut self.overlap);
        let decoded: InterleavedSamples<f32> = decoded.map_err(|error| mono.failed(error))?;
        let (channels, frames) = (decoded.channel_count, decoded.samples.len() / decoded.channel_count.max(1));
        let start = if is_first { 0 } else { (packet.trim_start.get() as usize).min(frames) };
        let end = frames.saturating_sub(packet.trim_end.get() as usize).max(start);
        mono.push_interleaved(&decoded.samples[start * channels..end * channels], channels, self.identification.audio_sample_rate)
    }
}

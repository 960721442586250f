//! ADPCM in WAV: Microsoft's and IMA's four bits per sample, in blocks that each begin with complete samples.
//!
//! The arithmetic is libsndfile's, in whole numbers. Other rounding adds up within a block, to a hundredth of full scale with
//! Symphonia 0.6.1. A block is a few hundred bytes; no other state is kept.

use super::Mono;
use crate::audio::AudioError;

const IMA_STEPS: [i32; 89] = [
    7, 8, 9, 10, 11, 12, 13, 14, 16, 17, 19, 21, 23, 25, 28, 31, 34, 37, 41, 45, 50, 55, 60, 66, 73, 80, 88, 97, 107, 118, 130, 143, 157,
    173, 190, 209, 230, 253, 279, 307, 337, 371, 408, 449, 494, 544, 598, 658, 724, 796, 876, 963, 1060, 1166, 1282, 1411, 1552, 1707,
    1878, 2066, 2272, 2499, 2749, 3024, 3327, 3660, 4026, 4428, 4871, 5358, 5894, 6484, 7132, 7845, 8630, 9493, 10442, 11487, 12635, 13899,
    15289, 16818, 18500, 20350, 22385, 24623, 27086, 29794, 32767,
];
const IMA_ADJUSTMENTS: [i32; 8] = [-1, -1, -1, -1, 2, 4, 6, 8];
const MS_ADAPTATIONS: [i32; 16] = [230, 230, 230, 230, 307, 409, 512, 614, 768, 614, 512, 409, 307, 230, 230, 230];
const MS_COEFFICIENTS: [(i32, i32); 7] = [(256, 0), (512, -256), (0, 0), (192, 64), (240, 0), (460, -208), (392, -232)];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Ms,
    Ima,
}

/// A sound of this kind.
#[derive(Debug)]
pub(super) struct Adpcm<'a> {
    kind: Kind,
    channels: usize,
    rate: u32,
    block_bytes: usize,
    /// Samples of one channel in a block.
    block_frames: usize,
    samples: &'a [u8],
}

impl<'a> Adpcm<'a> {
    /// From the `fmt` chunk of such a format.
    pub(super) fn new(chunk: &[u8], samples: &'a [u8]) -> Result<Self, AudioError> {
        let number = |at: usize| chunk.get(at..at + 2).map(|two| usize::from(u16::from_le_bytes([two[0], two[1]])));
        let bad = || AudioError::Corrupt("the format of an ADPCM file contradicts itself".to_owned());
        let (tag, channels, block_bytes, bits) = (number(0), number(2), number(12), number(14));
        let rate = chunk.get(4..8).map_or(0, |four| u32::from_le_bytes([four[0], four[1], four[2], four[3]]));
        let (Some(channels), Some(block_bytes)) = (channels, block_bytes) else { return Err(bad()) };
        if !(1..=2).contains(&channels) {
            return Err(AudioError::Unsupported(format!("ADPCM of {channels} channels")));
        }
        // The block's header before the first nibble: bytes, and samples.
        let (kind, head_bytes, head_frames) = if tag == Some(2) { (Kind::Ms, 7, 2) } else { (Kind::Ima, 4, 1) };
        let body_bytes = block_bytes.checked_sub(head_bytes * channels).ok_or_else(bad)?;
        let block_frames = body_bytes * 2 / channels + head_frames;
        let whole = kind == Kind::Ms || body_bytes % (4 * channels) == 0;
        if bits != Some(4) || !whole || number(18).is_some_and(|frames| frames != block_frames) {
            return Err(bad());
        }
        Ok(Self { kind, channels, rate, block_bytes, block_frames, samples })
    }

    /// Decodes every whole block.
    pub(super) fn decode(&self, mono: &mut Mono) -> Result<(), AudioError> {
        let blocks = self.samples.len() / self.block_bytes;
        mono.begin(self.rate, Some((blocks * self.block_frames) as u64))?;
        let mut decoded = vec![0; self.block_frames * self.channels];
        let mut interleaved = vec![0.0; decoded.len()];
        for block in self.samples.chunks_exact(self.block_bytes) {
            match self.kind {
                Kind::Ms => ms_block(block, self.channels, &mut decoded),
                Kind::Ima => ima_block(block, self.channels, &mut decoded),
            }
            .ok_or_else(|| mono.failed("an ADPCM block begins with numbers that it cannot have"))?;
            for (float, sample) in interleaved.iter_mut().zip(&decoded) {
                *float = *sample as f32 / 32_768.0;
            }
            mono.push_interleaved(&interleaved, self.channels, self.rate)?;
        }
        Ok(())
    }
}

fn read_i16(bytes: &[u8], at: usize) -> i32 {
    i32::from(i16::from_le_bytes([bytes[at], bytes[at + 1]]))
}

fn clamp(sample: i32) -> i32 {
    sample.clamp(i32::from(i16::MIN), i32::from(i16::MAX))
}

/// Eight samples of each channel in turn, four bytes each, low nibbles first.
fn ima_block(block: &[u8], channels: usize, decoded: &mut [i32]) -> Option<()> {
    let (head, body) = block.split_at(4 * channels);
    for channel in 0..channels {
        let (mut sample, mut index) = (read_i16(head, 4 * channel), i32::from(head[4 * channel + 2]));
        let mut step = *IMA_STEPS.get(index as usize)?;
        decoded[channel] = sample;
        let bytes = body.chunks_exact(4).skip(channel).step_by(channels).flatten();
        let nibbles = bytes.flat_map(|byte| [byte & 15, byte >> 4]);
        for (frame, nibble) in nibbles.enumerate() {
            let part = |bit: u8, shift: i32| if nibble & bit != 0 { step >> shift } else { 0 };
            let difference = (step >> 3) + part(1, 2) + part(2, 1) + part(4, 0);
            sample = clamp(if nibble & 8 != 0 { sample - difference } else { sample + difference });
            index = (index + IMA_ADJUSTMENTS[usize::from(nibble & 7)]).clamp(0, 88);
            step = IMA_STEPS[index as usize];
            decoded[(frame + 1) * channels + channel] = sample;
        }
    }
    Some(())
}

/// Samples of the channels in turn, high nibbles first.
fn ms_block(block: &[u8], channels: usize, decoded: &mut [i32]) -> Option<()> {
    let (head, body) = block.split_at(7 * channels);
    let mut coefficients = [(0, 0); 2];
    let mut deltas = [0; 2];
    for channel in 0..channels {
        coefficients[channel] = *MS_COEFFICIENTS.get(usize::from(head[channel]))?;
        deltas[channel] = read_i16(head, channels + 2 * channel);
        decoded[channels + channel] = read_i16(head, 3 * channels + 2 * channel);
        decoded[channel] = read_i16(head, 5 * channels + 2 * channel);
    }
    for (position, nibble) in body.iter().flat_map(|byte| [byte >> 4, byte & 15]).enumerate() {
        let (at, channel) = (position + 2 * channels, position % channels);
        let (one, two) = coefficients[channel];
        let predicted = (decoded[at - channels] * one + decoded[at - 2 * channels] * two) >> 8;
        let signed = i32::from(nibble) - if nibble & 8 != 0 { 16 } else { 0 };
        decoded[at] = clamp(signed * deltas[channel] + predicted);
        // Sixteen bits, as in the original decoder; only a damaged file needs more.
        deltas[channel] = i32::from(((MS_ADAPTATIONS[usize::from(nibble)] * deltas[channel]) >> 8) as i16).max(16);
    }
    Some(())
}

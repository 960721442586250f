//! The clip so far: samples averaged over the channels, limited to the longest clip that the package allows.

use symphonia::core::audio::GenericAudioBufferRef;

use crate::audio::{AudioError, AudioSpec};

/// Mono samples, all of one rate.
pub(super) struct Mono {
    samples: Vec<f32>,
    interleaved: Vec<f32>,
    rate: u32,
    max_seconds: f64,
    max_frames: u64,
}

impl Mono {
    pub(super) fn new(max_seconds: f64) -> Self {
        Self { samples: Vec::new(), interleaved: Vec::new(), rate: 0, max_seconds, max_frames: 0 }
    }

    /// Samples so far.
    pub(super) fn len(&self) -> u64 {
        self.samples.len() as u64
    }

    /// The samples and their rate in Hz.
    pub(super) fn finish(self) -> (Vec<f32>, u32) {
        (self.samples, self.rate)
    }

    /// The file's header: its rate in Hz and, if known, its length in samples of one channel.
    pub(super) fn begin(&mut self, rate: u32, frames: Option<u64>) -> Result<(), AudioError> {
        self.set_rate(rate)?;
        match frames {
            Some(frames) if frames > self.max_frames => Err(self.too_long()),
            _ => Ok(()),
        }
    }

    /// Checks that the file has `frames` samples of one channel, as in its header.
    pub(super) fn check_length(&self, frames: Option<u64>) -> Result<(), AudioError> {
        match frames {
            Some(frames) if self.len() < frames => {
                Err(AudioError::Corrupt(format!("the file ends after {} of {frames} samples", self.len())))
            }
            _ => Ok(()),
        }
    }

    /// Drops the samples of the last packet after `frames` samples.
    pub(super) fn truncate(&mut self, frames: u64) {
        self.samples.truncate(usize::try_from(frames).unwrap_or(usize::MAX));
    }

    /// An error of the decoder, with its position.
    pub(super) fn failed(&self, cause: impl std::fmt::Display) -> AudioError {
        AudioError::Corrupt(format!("after {} samples: {cause}", self.len()))
    }

    /// Adds the samples of one packet.
    pub(super) fn push(&mut self, buffer: &GenericAudioBufferRef<'_>) -> Result<(), AudioError> {
        let (rate, channels, frames) = (buffer.spec().rate(), buffer.num_planes(), buffer.frames());
        if self.admit(rate, channels, frames)? {
            self.interleaved.resize(frames * channels, 0.0);
            buffer.copy_to_slice_interleaved(self.interleaved.as_mut_slice());
            average(&self.interleaved, channels, &mut self.samples);
        }
        Ok(())
    }

    /// Adds interleaved samples.
    pub(super) fn push_interleaved(&mut self, interleaved: &[f32], channels: usize, rate: u32) -> Result<(), AudioError> {
        if self.admit(rate, channels, interleaved.len() / channels.max(1))? {
            average(interleaved, channels, &mut self.samples);
        }
        Ok(())
    }

    /// Whether there is anything to add; an error if it may not be added.
    fn admit(&mut self, rate: u32, channels: usize, frames: usize) -> Result<bool, AudioError> {
        if frames == 0 || channels == 0 {
            return Ok(false);
        }
        if self.samples.is_empty() {
            self.set_rate(rate)?;
        } else if rate != self.rate {
            return Err(self.failed(format!("the sample rate changes from {} Hz to {rate} Hz", self.rate)));
        }
        if self.len() + frames as u64 > self.max_frames {
            return Err(self.too_long());
        }
        Ok(true)
    }

    fn set_rate(&mut self, rate: u32) -> Result<(), AudioError> {
        if !AudioSpec::RATES.contains(&rate) {
            return Err(AudioError::Unsupported(format!("a sample rate of {rate} Hz")));
        }
        self.rate = rate;
        self.max_frames = (self.max_seconds * f64::from(rate)).ceil() as u64;
        Ok(())
    }

    fn too_long(&self) -> AudioError {
        AudioError::TooLong { max_seconds: self.max_seconds }
    }
}

/// The mean of all channels, whatever their speaker layout: that of `librosa.to_mono` and of
/// `soundfile.read(...).mean(axis=1)`.
fn average(interleaved: &[f32], channels: usize, samples: &mut Vec<f32>) {
    match channels {
        1 => samples.extend_from_slice(interleaved),
        _ => samples.extend(interleaved.chunks_exact(channels).map(|frame| frame.iter().sum::<f32>() / channels as f32)),
    }
}

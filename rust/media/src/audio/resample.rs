//! From one sample rate to another.
//!
//! The ratio of two whole rates is fixed, so the resampler works by FFT over blocks that are whole multiples of the ratio:
//! a windowed-sinc low pass and the change of rate in one multiplication. Its delay is removed: sample 0 of the result is
//! at the time of sample 0 of the input, and the result is `ceil(samples × to / from)` long, as librosa and torchaudio
//! count.

use rubato::audioadapter_buffers::direct::SequentialSlice;
use rubato::{Fft, FixedSync, Resampler};

use super::AudioError;

/// Minimum input frames per block: long enough for a steep filter, short enough for short clips.
const BLOCK_FRAMES: usize = 1024;

/// Mono samples at rate `from` as they would be at rate `to` (both in Hz). Equal rates copy.
///
/// # Errors
/// [`AudioError::Unsupported`] for a rate of zero or a pair that the resampler refuses.
pub fn resample(samples: &[f32], from: u32, to: u32) -> Result<Vec<f32>, AudioError> {
    if from == to || samples.is_empty() {
        return Ok(samples.to_vec());
    }
    let refused = |cause: String| AudioError::Unsupported(format!("resampling from {from} Hz to {to} Hz: {cause}"));
    // A block is a whole number of periods of the ratio, and an even one: half a block is the filter's delay, which must
    // be whole frames on both sides to be removed exactly.
    let two_periods = 2 * (from / gcd(from, to)).max(1) as usize;
    let mut resampler = Fft::<f32>::new_custom(
        from as usize,
        to as usize,
        BLOCK_FRAMES.next_multiple_of(two_periods),
        1,
        1,
        rubato::WindowFunction::BlackmanHarris2,
        FixedSync::Both,
    )
    .map_err(|error| refused(error.to_string()))?;
    let mut output = vec![0.0f32; resampler.process_all_needed_output_len(samples.len())];
    let capacity = output.len();
    let source = SequentialSlice::new(samples, 1, samples.len()).map_err(|error| refused(error.to_string()))?;
    let mut target = SequentialSlice::new_mut(&mut output, 1, capacity).map_err(|error| refused(error.to_string()))?;
    let (_, produced) =
        resampler.process_all_into_buffer(&source, &mut target, samples.len(), None).map_err(|error| refused(error.to_string()))?;
    output.truncate(produced);
    Ok(output)
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a.max(1) } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sine(hz: f64, rate: u32, samples: usize) -> Vec<f32> {
        (0..samples).map(|n| (std::f64::consts::TAU * hz * n as f64 / f64::from(rate)).sin() as f32 * 0.5).collect()
    }

    #[test]
    fn a_tone_stays_the_tone() {
        for (from, to) in [(44_100, 16_000), (48_000, 16_000), (8_000, 16_000), (22_050, 16_000), (16_000, 8_000), (11_025, 16_000)] {
            let output = resample(&sine(440.0, from, from as usize), from, to).unwrap();
            let expected = sine(440.0, to, to as usize);
            assert_eq!(output.len(), expected.len());
            let middle = to as usize / 10..to as usize * 9 / 10;
            let worst = output[middle.clone()].iter().zip(&expected[middle]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-4, "{from} -> {to}: {worst}");
        }
    }

    #[test]
    fn what_the_new_rate_cannot_hold_is_removed() {
        let output = resample(&sine(12_000.0, 48_000, 48_000), 48_000, 16_000).unwrap();
        let worst = output[2_000..14_000].iter().map(|x| x.abs()).fold(0.0, f32::max);
        assert!(worst < 1e-4, "{worst}");
    }

    #[test]
    fn lengths_and_short_clips() {
        for samples in [1usize, 2, 3, 100, 1023, 1024, 1025, 44_101] {
            let output = resample(&vec![0.25; samples], 44_100, 16_000).unwrap();
            assert_eq!(output.len(), (samples * 16_000).div_ceil(44_100), "{samples}");
            assert!(output.iter().all(|x| x.is_finite()));
        }
        assert!(resample(&[], 44_100, 16_000).unwrap().is_empty());
        assert_eq!(resample(&[0.5, -0.5], 16_000, 16_000).unwrap(), [0.5, -0.5]);
        assert!(resample(&[0.5], 0, 16_000).is_err());
        // Rates without a common factor, at the edge of what a file may claim.
        assert_eq!(resample(&[0.5; 1000], 383_987, 16_000).unwrap().len(), 42);
    }
}

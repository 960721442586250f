//! Bytes to program rows in one call, and rows to the program's tensors.

use super::{AudioError, AudioSpec, decode, resample};

/// Audio preparation of one package; made once per loaded model and shared by all threads.
#[derive(Debug, Clone)]
pub struct AudioPreparer {
    spec: AudioSpec,
}

impl AudioPreparer {
    /// Checks the package's table.
    ///
    /// # Errors
    /// [`AudioError::BadSpec`].
    pub fn new(spec: AudioSpec) -> Result<Self, AudioError> {
        spec.validate()?;
        Ok(Self { spec })
    }

    /// The package's table.
    #[must_use]
    pub fn spec(&self) -> &AudioSpec {
        &self.spec
    }

    /// The clip in `bytes` as mono samples at the program's rate; never empty, always finite. Cut it with
    /// [`AudioSpec::windows`].
    ///
    /// # Errors
    /// Those of [`decode()`] and [`resample()`].
    pub fn prepare(&self, bytes: &[u8]) -> Result<Vec<f32>, AudioError> {
        let waveform = decode(bytes, self.spec.max_seconds)?;
        if waveform.sample_rate == self.spec.sample_rate {
            return Ok(waveform.samples);
        }
        resample(&waveform.samples, waveform.sample_rate, self.spec.sample_rate)
    }
}

/// The values of the program's tensors for a batch: `samples`, row after row, each zero padded (or cut) to `length`, and
/// `lengths`, the real samples of each row.
#[must_use]
pub fn fill(rows: &[&[f32]], length: usize) -> (Vec<f32>, Vec<i64>) {
    let mut samples = Vec::with_capacity(rows.len() * length);
    let mut lengths = Vec::with_capacity(rows.len());
    for row in rows {
        let real = row.len().min(length);
        let start = samples.len();
        samples.extend_from_slice(&row[..real]);
        samples.resize(start + length, 0.0);
        lengths.push(i64::try_from(real).unwrap_or(i64::MAX));
    }
    (samples, lengths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_padded_with_zeros() {
        let (samples, lengths) = fill(&[&[1.0, 2.0], &[3.0], &[]], 2);
        assert_eq!(samples, [1.0, 2.0, 3.0, 0.0, 0.0, 0.0]);
        assert_eq!(lengths, [2, 1, 0]);
    }
}

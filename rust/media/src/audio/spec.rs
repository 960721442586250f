//! The `[input.audio]` table of a package.

use serde::{Deserialize, Serialize};

use super::AudioError;

/// A tensor that an audio program can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AudioInput {
    /// `[rows, longest]` f32, nominally -1 to 1, zero padded at the end.
    Samples,
    /// `[rows]` i64: how many samples of each row are real.
    Lengths,
}

/// How the results of a clip's windows become the result of the clip, element by element.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// Their mean (default).
    #[default]
    Mean,
    /// Their largest value.
    Max,
    /// The result of the first window; later windows are never computed.
    First,
}

/// How a package's audio is prepared. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AudioSpec {
    /// Samples per second that the program takes; every clip is brought to it. 1,000 to 384,000.
    pub sample_rate: u32,
    /// Longest clip in seconds; a longer one is an error of its row. Default 600.
    #[serde(default = "default_max_seconds")]
    pub max_seconds: f64,
    /// Clips longer than this many samples (at `sample_rate`) are cut into windows of this many, each a row of the program.
    /// Default: never cut; the program sees whole clips.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_samples: Option<usize>,
    /// Samples from the start of one window to the next. Default: `window_samples` (no overlap).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hop_samples: Option<usize>,
    /// How the results of windows are joined. Default `mean`; needs `window_samples`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<Pool>,
    /// The tensors that the program takes, in order. Default `["samples", "lengths"]`. Without `lengths` every row is
    /// padded to `window_samples`, which must then be given.
    #[serde(default = "default_inputs")]
    pub inputs: Vec<AudioInput>,
}

fn default_max_seconds() -> f64 {
    600.0
}

fn default_inputs() -> Vec<AudioInput> {
    vec![AudioInput::Samples, AudioInput::Lengths]
}

impl AudioSpec {
    /// Lowest and highest sample rate, of a program and of a file.
    pub const RATES: std::ops::RangeInclusive<u32> = 1_000..=384_000;

    /// Checks that the values are consistent.
    ///
    /// # Errors
    /// [`AudioError::BadSpec`] with the reason.
    pub fn validate(&self) -> Result<(), AudioError> {
        let bad = |reason: String| Err(AudioError::BadSpec(reason));
        if !Self::RATES.contains(&self.sample_rate) {
            return bad(format!("sample_rate = {} is outside 1000 to 384000", self.sample_rate));
        }
        if !(self.max_seconds > 0.0 && self.max_seconds <= 86_400.0) {
            return bad(format!("max_seconds = {} is outside 0 to 86400", self.max_seconds));
        }
        match (self.window_samples, self.hop_samples) {
            (Some(0), _) => return bad("window_samples = 0".to_owned()),
            (_, Some(0)) => return bad("hop_samples = 0".to_owned()),
            (Some(window), Some(hop)) if hop > window => {
                return bad(format!("hop_samples = {hop} skips samples between windows of {window}"));
            }
            (None, Some(_)) => return bad("hop_samples needs window_samples".to_owned()),
            (None, None) if self.pool.is_some() => return bad("pool needs window_samples".to_owned()),
            _ => {}
        }
        match self.inputs.as_slice() {
            [AudioInput::Samples, AudioInput::Lengths] | [AudioInput::Lengths, AudioInput::Samples] => Ok(()),
            [AudioInput::Samples] if self.window_samples.is_some() => Ok(()),
            [AudioInput::Samples] => bad("inputs without \"lengths\" needs window_samples, so that every row is equally long".to_owned()),
            _ => bad("inputs must be \"samples\", and \"lengths\" at most once".to_owned()),
        }
    }

    /// Whether rows are padded to [`AudioSpec::window_samples`] instead of the longest row of their batch.
    #[must_use]
    pub fn pads_to_window(&self) -> bool {
        !self.inputs.contains(&AudioInput::Lengths)
    }

    /// How windows are joined: [`AudioSpec::pool`] or its default.
    #[must_use]
    pub fn pooling(&self) -> Pool {
        self.pool.unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(text: &str) -> AudioSpec {
        toml::from_str(text).unwrap()
    }

    #[test]
    fn defaults_and_strictness() {
        let plain = spec("sample_rate = 16000");
        assert_eq!(plain.max_seconds, 600.0);
        assert_eq!(plain.inputs, [AudioInput::Samples, AudioInput::Lengths]);
        assert!(plain.validate().is_ok() && !plain.pads_to_window());
        assert!(toml::from_str::<AudioSpec>("").is_err());
        assert!(toml::from_str::<AudioSpec>("sample_rate = 16000\nchannels = 2").is_err());
        let windowed = spec("sample_rate = 8000\nwindow_samples = 1024\nhop_samples = 512\npool = \"max\"\ninputs = [\"samples\"]");
        assert!(windowed.validate().is_ok() && windowed.pads_to_window());
        assert_eq!(windowed.pooling(), Pool::Max);
    }

    #[test]
    fn contradictions_are_errors() {
        for bad in [
            "sample_rate = 10",
            "sample_rate = 16000\nmax_seconds = 0",
            "sample_rate = 16000\nmax_seconds = nan",
            "sample_rate = 16000\nwindow_samples = 0",
            "sample_rate = 16000\nhop_samples = 5",
            "sample_rate = 16000\nwindow_samples = 5\nhop_samples = 6",
            "sample_rate = 16000\nwindow_samples = 5\nhop_samples = 0",
            "sample_rate = 16000\npool = \"mean\"",
            "sample_rate = 16000\ninputs = [\"samples\"]",
            "sample_rate = 16000\ninputs = [\"lengths\"]",
            "sample_rate = 16000\ninputs = []",
        ] {
            assert!(spec(bad).validate().is_err(), "{bad}");
        }
    }
}

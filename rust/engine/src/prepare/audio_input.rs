//! Columns of encoded sounds into sample tensors. A clip longer than the package's window becomes several items, whose
//! results are pooled after the forward pass.

use arrow_array::ArrayRef;
use flambeau_columns::BytesColumn;
use flambeau_media::audio::{AudioInput, AudioPreparer, AudioSpec, fill};
use rayon::prelude::*;
use tch::{TchError, Tensor};

use super::guard::{self, StopFlag};
use super::staged::made_up;
use super::{Staged, StagedRows};
use crate::{EngineError, pool};

/// Of one audio input.
#[derive(Debug)]
pub struct AudioInputPreparer {
    audio: AudioPreparer,
}

impl AudioInputPreparer {
    pub(super) fn new(model: &str, spec: AudioSpec) -> Result<Self, EngineError> {
        let audio = AudioPreparer::new(spec).map_err(|error| EngineError::model(model, error))?;
        Ok(Self { audio })
    }

    pub(super) fn tensors(&self) -> usize {
        self.audio.spec().inputs.len()
    }

    /// Half a minute of samples, twice; the real number is known only after decoding.
    pub(super) fn row_bytes(&self) -> u64 {
        u64::from(self.audio.spec().sample_rate) * 30 * 8
    }

    pub(super) fn stage(&self, column: &ArrayRef, rows: &[usize], stop: &StopFlag) -> Result<Staged, EngineError> {
        let bytes = BytesColumn::try_new(column).map_err(|error| EngineError::Internal(error.to_string()))?;
        let prepare = |row: usize| guard::row(stop, || self.audio.prepare(bytes.value(row)));
        let decoded: Vec<_> = pool::install(|| rows.par_iter().map(|&row| prepare(row)).collect());
        let spec = self.audio.spec();
        let (mut clips, mut items, mut errors) = (Vec::new(), Vec::with_capacity(rows.len()), Vec::new());
        for (i, clip) in decoded.into_iter().enumerate() {
            let first = clips.len();
            match clip {
                Ok(samples) => clips.extend(spec.windows(samples.len()).into_iter().map(|window| samples[window].to_vec())),
                Err(error) => errors.push((i, error)),
            }
            items.push(first..clips.len());
        }
        Ok(Staged { rows: StagedRows::Clips { clips, items, pool: spec.pooling() }, errors, placements: Vec::new() })
    }

    pub(super) fn sample(&self, rows: usize) -> Result<Vec<Tensor>, String> {
        let spec = self.audio.spec();
        let samples = spec.window_samples.unwrap_or(spec.sample_rate as usize);
        let mut clip = vec![0_f32; samples];
        made_up(&mut clip);
        let clips: Vec<Vec<f32>> = std::iter::repeat_n(clip, rows).collect();
        let items: Vec<usize> = (0..rows).collect();
        self.assemble(&clips, &items, samples).map_err(|error| error.to_string())
    }

    pub(super) fn assemble(&self, clips: &[Vec<f32>], items: &[usize], length: usize) -> Result<Vec<Tensor>, TchError> {
        let spec = self.audio.spec();
        let length = if spec.pads_to_window() { spec.window_samples.unwrap_or(length) } else { length };
        let rows: Vec<&[f32]> = items.iter().map(|&item| clips[item].as_slice()).collect();
        let (samples, lengths) = fill(&rows, length);
        let shape = [items.len() as i64, length as i64];
        let tensor = |input: &AudioInput| match input {
            AudioInput::Samples => Tensor::f_from_slice(&samples).and_then(|t| t.f_view(shape)),
            AudioInput::Lengths => Tensor::f_from_slice(&lengths),
        };
        spec.inputs.iter().map(tensor).collect()
    }
}

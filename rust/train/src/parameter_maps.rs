//! Trainings that step together: the parameter maps of a fit.
//!
//! Heads that differ only in how they are optimized (optimizer, schedule, clipping, epochs, validation, checkpoints) use the same
//! batches. So a batch is gathered once, one pass of `batched_heads` computes the gradients of all of them, and one sum over the
//! workers adds up all gradients. Each keeps its own optimizer, position, validation and end. Its result is the same as if it were
//! trained alone, except for the order in which a product's terms are added (tested to 1e-4). All parameters lie in one matrix, a row for each training,
//! which is the flat vector of its state. `together` decides which trainings these are.

use flambeau_engine::EngineError;
use flambeau_torch_ext::Flat;
use tch::{Device, Kind, TchError, Tensor};

use super::batched_heads::{BatchedHeads, Features};
use super::flat_params::EXTRA;
use super::head::{self, DropoutKey};
use super::loader::Batch;
use super::loss_gradient::{LossRows, SharedRows};
use super::spec::TrainingSpec;
use super::split::DataSplit;
use super::state::{Context, Model, TrainState};
use super::step::{apply_gradients, timed_sum};

/// The heads of all trainings as one.
pub(super) struct ParameterMaps {
    heads: BatchedHeads,
    /// Of all parameters and what follows them, training by training.
    gradients: Tensor,
}

impl ParameterMaps {
    /// The states of all trainings; and their heads as one, where there are several. They were checked.
    pub(super) fn open(
        specs: Vec<TrainingSpec>,
        models: Vec<Model>,
        split: &DataSplit,
    ) -> Result<(Option<Self>, Vec<TrainState>), EngineError> {
        let torch = |error: TchError| EngineError::torch(head::NAME, error);
        let shared = specs.first().and_then(|spec| spec.program.head.clone()).filter(|_| specs.len() > 1);
        let Some(head) = shared else {
            let alone = specs.into_iter().zip(models).map(|(spec, model)| TrainState::new(spec, model, split, None));
            return Ok((None, alone.collect::<Result<_, _>>()?));
        };
        let count: usize = models[0].program.trainable.iter().map(|(_, tensor)| tensor.numel()).sum();
        let zeros = || Tensor::f_zeros([specs.len() as i64, (count + EXTRA) as i64], (Kind::Float, Device::Cpu)).map_err(torch);
        let (values, gradients) = (zeros()?, zeros()?);
        let mut states = Vec::new();
        for (row, (spec, model)) in specs.into_iter().zip(models).enumerate() {
            let flat = row_of(&values, &gradients, row, count).map_err(torch)?;
            states.push(TrainState::new(spec, model, split, Some(flat))?);
        }
        let heads = BatchedHeads::new(&head, &values, &gradients).map_err(torch)?;
        let gradients = gradients.f_view([-1]).map_err(torch)?;
        Ok((Some(Self { heads, gradients }), states))
    }

    /// One step of all trainings; those that are not due do not change.
    pub(super) fn step(&self, states: &mut [TrainState], context: &Context, batch: &Batch, due: &[usize]) -> Result<(), EngineError> {
        let torch = |error: TchError| EngineError::torch(head::NAME, error);
        let (losses, weight) = self.forward_backward(&states[due[0]], states.len(), context, batch).map_err(torch)?;
        let mut sums: Vec<(f64, f64)> = losses.into_iter().map(|loss| (loss, weight)).collect();
        if context.ranks.world > 1 {
            for (state, (loss, weight)) in states.iter_mut().zip(&sums) {
                state.params.put_sums(*loss, *weight)?;
            }
            states[due[0]].timer.summed += timed_sum(&context.ranks, &self.gradients, &context.canceled)?;
            sums = states.iter().map(|state| state.params.sums()).collect::<Result<_, _>>()?;
            // All have the same rows, so the same sum of weights.
            let weight = sums[due[0]].1;
            if weight > 0.0 {
                let _ = self.gradients.shallow_clone().f_mul_scalar_(1.0 / weight).map_err(torch)?;
            }
        }
        for &one in due {
            apply_gradients(&mut states[one], context, batch, sums[one], 1.0)?;
        }
        Ok(())
    }

    /// Back-propagates this worker's part of a batch: means if no other worker has a part. Returns the sum of each training's
    /// losses, and that of the weights. `first`: any of those that are due.
    fn forward_backward(&self, first: &TrainState, count: usize, context: &Context, batch: &Batch) -> Result<(Vec<f64>, f64), TchError> {
        let rows = &batch.part.rows;
        let Some(input) = batch.inputs.first().filter(|_| !rows.is_empty()) else {
            let _ = self.gradients.shallow_clone().f_zero_()?;
            return Ok((vec![0.0; count], 0.0));
        };
        let key = DropoutKey { seed: first.spec.seed, step: first.position.step, positions: &batch.part.positions };
        let means = context.ranks.world == 1;
        let shared = SharedRows { loss: &first.loss, columns: &context.dataset.rows, rows, means };
        self.heads.forward_backward(&Features::Shared(input), &LossRows::Shared(shared), Some(&key), false)
    }
}

fn row_of(values: &Tensor, gradients: &Tensor, row: usize, count: usize) -> Result<Flat, TchError> {
    let (values, gradients) = (values.f_select(0, row as i64)?, gradients.f_select(0, row as i64)?);
    Ok(Flat { values: values.f_narrow(0, 0, count as i64)?, gradients })
}

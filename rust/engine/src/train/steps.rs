//! Parameters and how they change: one flat vector of values, one of gradients, one optimiser over both.
//!
//! Two numbers travel behind the gradients, so that one sum over all workers brings everything: the sum of losses and the sum
//! of weights of a batch.

use std::sync::atomic::AtomicBool;

use flambeau_torch_ext::{Flat, Optimizer, flatten};
use tch::{TchError, Tensor};

use super::program::Program;
use super::ranks::Ranks;
use super::spec::TrainingSpec;
use crate::EngineError;

const EXTRA: usize = 2;
/// As `torch.nn.utils.clip_grad_norm_` has it.
const CLIP_EPSILON: f64 = 1e-6;

/// See the module.
pub(super) struct Parameters {
    model: String,
    pub(super) flat: Flat,
    /// The gradients without the two numbers.
    gradients: Tensor,
    tail: Tensor,
    pub(super) optimizer: Optimizer,
    clip_norm: Option<f64>,
}

impl Parameters {
    pub(super) fn new(spec: &TrainingSpec, program: &Program) -> Result<Self, EngineError> {
        let model = program.name.clone();
        let tensors: Vec<Tensor> = program.learning.iter().map(|(_, tensor)| tensor.shallow_clone()).collect();
        let flat = flatten(&tensors, EXTRA).map_err(|error| EngineError::torch(&model, error))?;
        let count = flat.values.size().iter().product::<i64>();
        let narrow = |from, length| flat.gradients.f_narrow(0, from, length).map_err(|error| EngineError::torch(&model, error));
        let (gradients, tail) = (narrow(0, count)?, narrow(count, EXTRA as i64)?);
        let optimizer = Optimizer::new(&spec.optimizer.options(), &flat.values, &gradients)
            .map_err(|error| EngineError::BadRequest(format!("the optimiser refuses its settings: {error}")))?;
        Ok(Self { model, flat, gradients, tail, optimizer, clip_norm: spec.clip_norm })
    }

    /// Forgets the gradients of the batch before.
    pub(super) fn begin(&mut self) -> Result<(), EngineError> {
        self.flat.gradients.f_zero_().map(drop).map_err(|error| self.torch(error))
    }

    /// Adds up gradients, losses and weights over all workers. Gives the sums of losses and of weights.
    pub(super) fn sum(&mut self, loss: f64, weight: f64, ranks: &Ranks, cancelled: &AtomicBool) -> Result<(f64, f64), EngineError> {
        if ranks.world == 1 {
            return Ok((loss, weight));
        }
        let pair = Tensor::f_from_slice(&[loss as f32, weight as f32]).map_err(|error| self.torch(error))?;
        self.tail.f_copy_(&pair).map_err(|error| self.torch(error))?;
        ranks.sum(&[&self.flat.gradients], "adding up gradients", cancelled)?;
        let mut sums = [0_f32; EXTRA];
        self.tail.f_copy_data(&mut sums, EXTRA).map_err(|error| self.torch(error))?;
        Ok((f64::from(sums[0]), f64::from(sums[1])))
    }

    /// One step of the optimiser, on the gradients divided by the sum of weights.
    pub(super) fn step(&mut self, weight: f64, lr: f64) -> Result<(), EngineError> {
        self.scale(weight).map_err(|error| self.torch(error))?;
        self.optimizer.step(lr).map_err(|error| EngineError::torch(&self.model, error))
    }

    fn scale(&mut self, weight: f64) -> Result<(), TchError> {
        let mut factor = 1.0 / weight;
        if let Some(limit) = self.clip_norm {
            let norm = self.gradients.f_norm()?.f_double_value(&[])? * factor;
            factor *= (limit / (norm + CLIP_EPSILON)).min(1.0);
        }
        if (factor - 1.0).abs() > f64::EPSILON {
            let _ = self.gradients.f_mul_scalar_(factor)?;
        }
        Ok(())
    }

    fn torch(&self, error: TchError) -> EngineError {
        EngineError::torch(&self.model, error)
    }
}

//! FlatParams and how they change: one flat vector of values, one of gradients, one optimizer over both.
//!
//! Two numbers follow the gradients, so that one sum over all workers adds up everything: the sum of losses and the sum
//! of weights of a batch.

use flambeau_engine::EngineError;
use flambeau_torch_ext::{Flat, Optimizer, flatten, flatten_into};
use tch::{TchError, Tensor};

use super::spec::OptimizerSpec;

pub(super) const EXTRA: usize = 2;
/// The workers' operation, for the error if one is missing.
pub(super) const SUMMING: &str = "adding up gradients";
/// As in `torch.nn.utils.clip_grad_norm_`.
const CLIP_EPSILON: f64 = 1e-6;

/// See the module.
pub(super) struct FlatParams {
    model: String,
    pub(super) flat: Flat,
    /// The gradients without the two numbers.
    gradients: Tensor,
    tail: Tensor,
    pub(super) optimizer: Optimizer,
    clip_norm: Option<f64>,
}

impl FlatParams {
    /// `tensors`: the parameters, which become views of the flat vector. `buffers`: existing vectors of the right lengths, if
    /// they are part of a larger matrix.
    pub(super) fn new(
        model: &str,
        optimizer: &OptimizerSpec,
        clip_norm: Option<f64>,
        tensors: &[Tensor],
        buffers: Option<Flat>,
    ) -> Result<Self, EngineError> {
        let flat = match buffers {
            Some(buffers) => flatten_into(tensors, &buffers).map(|()| buffers),
            None => flatten(tensors, EXTRA),
        };
        Self::over(model, optimizer, clip_norm, flat.map_err(|error| EngineError::torch(model, error))?)
    }

    /// Of parameters that lie in the vector already; [`EXTRA`] numbers follow the gradients.
    pub(super) fn over(model: &str, optimizer: &OptimizerSpec, clip_norm: Option<f64>, flat: Flat) -> Result<Self, EngineError> {
        let count = flat.values.size().iter().product::<i64>();
        let narrow = |from, length| flat.gradients.f_narrow(0, from, length).map_err(|error| EngineError::torch(model, error));
        let (gradients, tail) = (narrow(0, count)?, narrow(count, EXTRA as i64)?);
        let optimizer = Optimizer::new(&optimizer.options(), &flat.values, &gradients)
            .map_err(|error| EngineError::BadRequest(format!("the optimizer does not accept its settings: {error}")))?;
        Ok(Self { model: model.to_owned(), flat, gradients, tail, optimizer, clip_norm })
    }

    /// Clears the gradients of the previous batch.
    pub(super) fn zero_grad(&mut self) -> Result<(), EngineError> {
        self.flat.gradients.f_zero_().map(drop).map_err(|error| self.torch(error))
    }

    /// Puts this worker's sums after its gradients.
    pub(super) fn put_sums(&mut self, loss: f64, weight: f64) -> Result<(), EngineError> {
        let pair = Tensor::f_from_slice(&[loss as f32, weight as f32]).map_err(|error| self.torch(error))?;
        self.tail.f_copy_(&pair).map_err(|error| self.torch(error))
    }

    /// The sums of losses and of weights after the gradients.
    pub(super) fn sums(&self) -> Result<(f64, f64), EngineError> {
        let mut sums = [0_f32; EXTRA];
        self.tail.f_copy_data(&mut sums, EXTRA).map_err(|error| self.torch(error))?;
        Ok((f64::from(sums[0]), f64::from(sums[1])))
    }

    /// One step of the optimizer, on the gradients divided by `divisor`.
    pub(super) fn step(&mut self, divisor: f64, lr: f64) -> Result<(), EngineError> {
        self.scale(divisor).map_err(|error| self.torch(error))?;
        self.optimizer.step(lr).map_err(|error| EngineError::torch(&self.model, error))
    }

    fn scale(&mut self, divisor: f64) -> Result<(), TchError> {
        let mut factor = 1.0 / divisor;
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

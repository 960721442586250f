//! The parameters and how they change: one flat vector of values, one of gradients, an optimizer over both for each group of parameters,
//! and the moving average of the values if the training keeps one.
//!
//! Two numbers follow the gradients, so that one sum over all workers adds up everything: the sum of losses and the sum
//! of weights of a batch.

use flambeau_engine::EngineError;
use flambeau_torch_ext::{Flat, Optimizer, flatten, flatten_into};
use tch::{TchError, Tensor};

use super::param_groups::ParamGroup;
use super::spec::{OptimizerSpec, TrainingSpec};

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
    optimizers: Vec<GroupOptimizer>,
    clip_norm: Option<f64>,
    ema_decay: Option<f64>,
    /// The moving average of the values, after the first step.
    average: Option<Tensor>,
}

/// The optimizer of one group of parameters.
struct GroupOptimizer {
    optimizer: Optimizer,
    learning_rate_factor: f64,
}

impl FlatParams {
    /// `tensors`: the parameters of all groups, which become views of the flat vector. `buffers`: existing vectors of the right lengths,
    /// if they are part of a larger matrix.
    pub(super) fn new(
        model: &str,
        spec: &TrainingSpec,
        groups: &[ParamGroup],
        tensors: &[Tensor],
        buffers: Option<Flat>,
    ) -> Result<Self, EngineError> {
        let flat = match buffers {
            Some(buffers) => flatten_into(tensors, &buffers).map(|()| buffers),
            None => flatten(tensors, EXTRA),
        };
        let made = Self::over(model, &spec.optimizer, groups, flat.map_err(|error| EngineError::torch(model, error))?)?;
        Ok(Self { clip_norm: spec.clip_norm, ema_decay: spec.ema_decay, ..made })
    }

    /// Of parameters that lie in the vector already, group by group; [`EXTRA`] numbers follow the gradients.
    pub(super) fn over(model: &str, spec: &OptimizerSpec, groups: &[ParamGroup], flat: Flat) -> Result<Self, EngineError> {
        let torch = |error: TchError| EngineError::torch(model, error);
        let count = flat.values.size().iter().product::<i64>();
        let gradients = flat.gradients.f_narrow(0, 0, count).map_err(torch)?;
        let tail = flat.gradients.f_narrow(0, count, EXTRA as i64).map_err(torch)?;
        let (mut optimizers, mut from) = (Vec::new(), 0);
        for group in groups {
            let part = |all: &Tensor| all.f_narrow(0, from, group.numbers).map_err(torch);
            let mut options = spec.options();
            if !group.has_weight_decay {
                options.weight_decay = 0.0;
            }
            let optimizer = Optimizer::new(&options, &part(&flat.values)?, &part(&gradients)?)
                .map_err(|error| EngineError::BadRequest(format!("the optimizer does not accept its settings: {error}")))?;
            optimizers.push(GroupOptimizer { optimizer, learning_rate_factor: group.learning_rate_factor });
            from += group.numbers;
        }
        Ok(Self { model: model.to_owned(), flat, gradients, tail, optimizers, clip_norm: None, ema_decay: None, average: None })
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

    /// One step of the optimizers, on the gradients divided by `divisor`.
    pub(super) fn step(&mut self, divisor: f64, lr: f64) -> Result<(), EngineError> {
        self.scale(divisor).map_err(|error| self.torch(error))?;
        for group in &mut self.optimizers {
            let stepped = group.optimizer.step(lr * group.learning_rate_factor);
            stepped.map_err(|error| EngineError::torch(&self.model, error))?;
        }
        self.follow().map_err(|error| self.torch(error))
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

    /// The average after a step, as `torch.optim.swa_utils.AveragedModel` with `get_ema_multi_avg_fn(decay)`: at first a copy.
    fn follow(&mut self) -> Result<(), TchError> {
        let Some(decay) = self.ema_decay else { return Ok(()) };
        match &mut self.average {
            Some(average) => average.f_lerp_(&self.flat.values, 1.0 - decay).map(drop),
            None => {
                self.average = Some(self.flat.values.f_detach_copy()?);
                Ok(())
            }
        }
    }

    /// Exchanges the values and their average, if there is one: before the validation rows are evaluated, and again after.
    pub(super) fn swap_average(&mut self) -> Result<(), EngineError> {
        let Some(average) = &mut self.average else { return Ok(()) };
        exchange(&mut self.flat.values, average).map_err(|error| EngineError::torch(&self.model, error))
    }

    /// For a checkpoint.
    pub(super) fn average(&self) -> Option<&Tensor> {
        self.average.as_ref()
    }

    /// From a checkpoint.
    pub(super) fn set_average(&mut self, average: Option<Tensor>) {
        self.average = average;
    }

    /// The state of each group's optimizer.
    pub(super) fn save_optimizers(&self) -> Result<Vec<Vec<u8>>, EngineError> {
        let save = |group: &GroupOptimizer| group.optimizer.save().map_err(|error| EngineError::torch(&self.model, error));
        self.optimizers.iter().map(save).collect()
    }

    /// Loads what [`Self::save_optimizers`] gave, for the same groups.
    pub(super) fn load_optimizers(&mut self, states: &[Vec<u8>]) -> Result<(), EngineError> {
        for (group, state) in self.optimizers.iter_mut().zip(states) {
            group.optimizer.load(state).map_err(|error| EngineError::torch(&self.model, error))?;
        }
        Ok(())
    }

    /// How many optimizers there are: one for each group of parameters.
    pub(super) fn groups(&self) -> usize {
        self.optimizers.len()
    }

    fn torch(&self, error: TchError) -> EngineError {
        EngineError::torch(&self.model, error)
    }
}

fn exchange(values: &mut Tensor, average: &mut Tensor) -> Result<(), TchError> {
    let _no_grad = tch::no_grad_guard();
    let kept = values.f_detach_copy()?;
    values.f_copy_(average)?;
    average.f_copy_(&kept)
}

//! Many small models: one head for every group of a dataset's rows; all groups of similar size are trained at once.
//!
//! Groups with the same number of steps per epoch step together (`together`). They are one batched head (`batched_heads`), in which
//! each head has its own rows, with one optimizer over all (it works element by element, so groups do not mix). A group's gradient is
//! that of its own weighted mean loss. So a group's head is the same as if it were trained alone, in much less time.
//!
//! All heads begin with the same parameters, those of the seed. A group whose loss becomes NaN or infinite has NaN in its result
//! and does not affect others.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow_array::{ArrayRef, Float32Array, Float64Array, Int64Array, ListArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields};
use flambeau_engine::package::Dtype;
use flambeau_engine::{EngineError, memory};
use flambeau_torch_ext::{Flat, process};
use tch::{Device, Kind, TchError, Tensor};

use super::batched_heads::{BatchedHeads, Features};
use super::dataset::{Dense, MappedDataset, TrainingDataset};
use super::flat_params::{EXTRA, FlatParams};
use super::group_sampler::{Group, GroupBatch, GroupSampler, groups_of};
use super::groups_spec::GroupsSpec;
use super::loss::Loss;
use super::loss_gradient::LossRows;
use super::param_groups::ParamGroup;
use super::schedule::Schedule;
use super::spec::{LossKind, ScheduleName};
use super::training_loop::{Next, Steps, advance};
use super::{budget, head, together};

/// One group's result.
struct Trained {
    id: i64,
    rows: usize,
    loss: f64,
    parameters: Vec<f32>,
}

/// Trains them all. Returns a struct array with a row for each group, by group: `group` i64, `rows` i64, `loss` f64 (weighted
/// mean over the last epoch), `parameters` list of f32. These are each layer's weight `[out, in]` followed by its bias.
///
/// # Errors
/// A specification that does not fit the rows, or a cancellation.
pub fn train_groups(dataset: &TrainingDataset, spec: &GroupsSpec, canceled: &AtomicBool) -> Result<StructArray, EngineError> {
    process::keep_to_threads();
    let mapped = dataset.mapped()?;
    let training = spec.as_training();
    training.check()?;
    if spec.head.dropout > 0.0 {
        return Err(EngineError::BadRequest("heads of groups have no dropout".into()));
    }
    if spec.schedule.name == ScheduleName::Plateau {
        return Err(EngineError::BadRequest(
            "schedule \"plateau\" is not for groups, which improve at different times: use \"step\"".into(),
        ));
    }
    if spec.class_weights.is_some() && spec.loss != LossKind::CrossEntropy {
        return Err(EngineError::BadRequest("classWeights of groups go with cross-entropy alone".into()));
    }
    budget::check_head(&spec.head, spec.memory_bytes)?;
    let loss = Loss::new(&training, spec.head.outputs, Dtype::F32)?;
    loss.check(&mapped.rows)?;
    let dense = dense_input(&mapped, spec)?;
    let mut trained = Vec::new();
    for groups in together::groups(groups_of(&mapped)?, spec) {
        let sampler = GroupSampler::new(spec, &mapped, &dense, &loss, &groups);
        let sampler = sampler.map_err(|error| EngineError::torch(head::NAME, error))?;
        let mut training = GroupTraining::new(spec, canceled, sampler, groups.len())?;
        advance(&mut training, Duration::MAX)?;
        trained.extend(training.results(&groups)?);
    }
    trained.sort_by_key(|one| one.id);
    result(&trained)
}

fn dense_input(dataset: &MappedDataset, spec: &GroupsSpec) -> Result<Dense, EngineError> {
    let name = &spec.input;
    let (column, _) = dataset.column(name).ok_or_else(|| EngineError::BadRequest(format!("the dataset has no column '{name}'")))?;
    let dense =
        dataset.dense(column).ok_or_else(|| EngineError::BadRequest(format!("column '{name}' must be named dense in the dataset")))?;
    if dense.dtype != Dtype::F32 {
        return Err(EngineError::BadRequest(format!("the heads take f32, column '{name}' is {:?}", dense.dtype)));
    }
    if dense.width == spec.head.inputs {
        return Ok(dense);
    }
    Err(EngineError::BadRequest(format!("the heads take {} features, column '{name}' has {}", spec.head.inputs, dense.width)))
}

/// Groups that step together, as the loop sees them.
struct GroupTraining<'a> {
    spec: &'a GroupsSpec,
    canceled: &'a AtomicBool,
    sampler: GroupSampler<'a>,
    heads: BatchedHeads,
    params: FlatParams,
    schedule: Schedule,
    epoch: usize,
    step: usize,
    /// Of each group, over the epoch so far: losses times weights, and weights.
    sums: Vec<(f64, f64)>,
}

impl<'a> GroupTraining<'a> {
    fn new(spec: &'a GroupsSpec, canceled: &'a AtomicBool, sampler: GroupSampler<'a>, groups: usize) -> Result<Self, EngineError> {
        let torch = |error: TchError| EngineError::torch(head::NAME, error);
        let (values, gradients) = first_values(spec, groups)?;
        let width = values.size()[1];
        let rows = gradients.f_narrow(0, 0, groups as i64 * width).and_then(|t| t.f_view([groups as i64, width])).map_err(torch)?;
        let heads = BatchedHeads::new(&spec.head, &values, &rows).map_err(torch)?;
        let flat = Flat { values: values.f_view([-1]).map_err(torch)?, gradients };
        let params = FlatParams::over(head::NAME, &spec.optimizer, &[ParamGroup::of_all(flat.values.numel() as i64)], flat)?;
        let schedule = Schedule::new(&spec.schedule, spec.optimizer.lr, sampler.steps, spec.epochs);
        Ok(Self { spec, canceled, sampler, heads, params, schedule, epoch: 0, step: 0, sums: vec![(0.0, 0.0); groups] })
    }

    /// The result of each group.
    fn results(&self, groups: &[Group]) -> Result<Vec<Trained>, EngineError> {
        let values = memory::values::<f32>(&self.params.flat.values);
        let values = values.ok_or_else(|| EngineError::Internal("parameters are not dense".into()))?;
        let each = values.chunks((values.len() / groups.len().max(1)).max(1));
        let one = |((group, parameters), (sum, weight)): ((&Group, &[f32]), &(f64, f64))| Trained {
            id: group.id,
            rows: group.rows.len(),
            loss: if *weight > 0.0 { sum / weight } else { f64::NAN },
            // Rows without weight have no effect: the initial parameters are not a model.
            parameters: if *weight > 0.0 { parameters.to_vec() } else { vec![f32::NAN; parameters.len()] },
        };
        Ok(groups.iter().zip(each).zip(&self.sums).map(one).collect())
    }
}

impl Steps for GroupTraining<'_> {
    fn canceled(&self) -> &AtomicBool {
        self.canceled
    }

    fn next(&self) -> Next {
        if self.epoch >= self.spec.epochs {
            Next::Nothing
        } else if self.step >= self.sampler.steps {
            Next::EpochEnd
        } else {
            Next::Step
        }
    }

    fn step(&mut self) -> Result<bool, EngineError> {
        let torch = |error: TchError| EngineError::torch(head::NAME, error);
        if self.step == 0 {
            self.sums.fill((0.0, 0.0));
        }
        let (heads, sums, loss) = (&self.heads, &mut self.sums, self.sampler.loss);
        let learn = |batch: &GroupBatch| {
            let rows = LossRows::Own { loss, target: &batch.target, shares: &batch.shares };
            let (means, _) = heads.forward_backward(&Features::Own(&batch.features), &rows, None, false)?;
            for ((sum, weight), (mean, own)) in sums.iter_mut().zip(means.iter().zip(&batch.weights)) {
                *sum += mean * own;
                *weight += own;
            }
            Ok(())
        };
        self.sampler.with_batch(self.epoch, self.step, learn).and_then(|done| done).map_err(torch)?;
        let step = self.epoch * self.sampler.steps + self.step;
        self.params.step(1.0, self.schedule.at(step as u64))?;
        self.step += 1;
        Ok(false)
    }

    fn end_epoch(&mut self) -> Result<bool, EngineError> {
        (self.epoch, self.step) = (self.epoch + 1, 0);
        Ok(false)
    }
}

/// The initial parameters of all groups, `[groups, width]`, the same for each; and a vector for their gradients and the numbers after
/// them.
fn first_values(spec: &GroupsSpec, groups: usize) -> Result<(Tensor, Tensor), EngineError> {
    let torch = |error: TchError| EngineError::torch(head::NAME, error);
    let layers = head::first_layers(&spec.head, spec.seed)?;
    let parts = layers.iter().flat_map(|(weight, bias)| [weight, bias]).map(|t| t.f_reshape([-1])).collect::<Result<Vec<_>, _>>();
    let one = parts.and_then(|parts| Tensor::f_cat(&parts, 0)).map_err(torch)?;
    let values = one.f_unsqueeze(0).and_then(|one| one.f_repeat([groups as i64, 1])).map_err(torch)?;
    let gradients = Tensor::f_zeros([(values.numel() + EXTRA) as i64], (Kind::Float, Device::Cpu)).map_err(torch)?;
    Ok((values, gradients))
}

fn result(trained: &[Trained]) -> Result<StructArray, EngineError> {
    let item = Arc::new(Field::new("element", DataType::Float32, false));
    let all: usize = trained.iter().map(|one| one.parameters.len()).sum();
    if i32::try_from(all).is_err() {
        let text = format!(
            "a task's {} heads have {all} parameters, more than 2^31: raise numWorkers, or make hiddenLayers smaller",
            trained.len()
        );
        return Err(EngineError::BadRequest(text));
    }
    let offsets = OffsetBuffer::from_lengths(trained.iter().map(|one| one.parameters.len()));
    let values = Float32Array::from_iter_values(trained.iter().flat_map(|one| one.parameters.iter().copied()));
    let internal = |error: arrow_schema::ArrowError| EngineError::Internal(error.to_string());
    let lists = ListArray::try_new(item, offsets, Arc::new(values), None).map_err(internal)?;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("group", Arc::new(Int64Array::from_iter_values(trained.iter().map(|one| one.id)))),
        ("rows", Arc::new(Int64Array::from_iter_values(trained.iter().map(|one| one.rows as i64)))),
        ("loss", Arc::new(Float64Array::from_iter_values(trained.iter().map(|one| one.loss)))),
        ("parameters", Arc::new(lists)),
    ];
    let fields: Fields = columns.iter().map(|(name, column)| Field::new(*name, column.data_type().clone(), false)).collect();
    StructArray::try_new(fields, columns.into_iter().map(|(_, column)| column).collect(), None).map_err(internal)
}

//! Many small models: one head for every group of a feed's rows; all groups of similar size are trained at once.
//!
//! Groups with the same number of steps per epoch are stacked: weights `[groups, out, in]`, features `[groups, rows, in]`. There
//! is one batched matrix product for each layer and one optimizer over all (it works element by element, so groups do not mix). A
//! group's gradient is that of its own weighted mean loss; places without a row have the weight 0. So a group's head is the same
//! as if it were trained alone, in much less time.
//!
//! All heads begin with the same parameters, those of the seed. A group whose loss becomes NaN or infinite has NaN in its result
//! and does not affect others.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::{ArrayRef, Float32Array, Float64Array, Int64Array, ListArray, StructArray};
use arrow_buffer::OffsetBuffer;
use arrow_schema::{DataType, Field, Fields};
use flambeau_engine::package::Dtype;
use flambeau_engine::{EngineError, memory};
use flambeau_media::image::{Decode, ImageLimits};
use flambeau_torch_ext::{Optimizer, TorchError, flatten, process};
use serde::Deserialize;
use tch::{Kind, TchError, Tensor};

use super::budget;
use super::feed::{Dense, Feed, Sealed};
use super::head::{self, activated};
use super::loss::Loss;
use super::random::Stream;
use super::schedule::Schedule;
use super::spec::{HeadSpec, LossKind, MetricName, OptimizerSpec, Precision, ProgramSpec, ScheduleSpec, TrainingSpec, ValidationSpec};

/// Purpose of the stream of random numbers.
const PURPOSE: u64 = 5;
/// Maximum number of feature values that are stacked at once: 64 MB.
const STACK_VALUES: usize = 16 << 20;
/// Maximum number of groups of one stack.
const STACK_GROUPS: usize = 1024;
/// Maximum number of parameters of one stack, not counting its first group: 64 MB.
const STACK_PARAMETERS: u128 = 16 << 20;

/// The training of all groups; the keys have the same meaning as in a [`TrainingSpec`].
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see TrainingSpec")]
pub struct GroupsSpec {
    /// Without dropout.
    pub head: HeadSpec,
    /// A dense column of the feed.
    pub input: String,
    pub loss: LossKind,
    pub class_weights: Option<Vec<f64>>,
    pub label_smoothing: f64,
    pub huber_delta: f64,
    pub optimizer: OptimizerSpec,
    pub schedule: ScheduleSpec,
    /// Rows of a group's batch. None: all of its rows.
    pub batch_rows: Option<usize>,
    pub epochs: usize,
    pub seed: u64,
    pub memory_bytes: Option<u64>,
}

/// One group's rows of the feed.
struct Group {
    id: i64,
    rows: Vec<u32>,
}

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
pub fn train_groups(feed: &Feed, spec: &GroupsSpec, canceled: &AtomicBool) -> Result<StructArray, EngineError> {
    process::keep_to_threads();
    let sealed = feed.sealed()?;
    let training = spec.as_training();
    training.check()?;
    if spec.head.dropout > 0.0 {
        return Err(EngineError::BadRequest("heads of groups have no dropout".into()));
    }
    if spec.class_weights.is_some() && spec.loss != LossKind::CrossEntropy {
        return Err(EngineError::BadRequest("classWeights of groups go with cross-entropy alone".into()));
    }
    budget::check_head(&spec.head, spec.memory_bytes)?;
    let loss = Loss::new(&training, spec.head.outputs, Dtype::F32)?;
    loss.check(&sealed.rows)?;
    let dense = dense_input(&sealed, spec)?;
    let mut trained = Vec::new();
    for stack in stacks(groups_of(&sealed)?, spec) {
        let stacking = Stacking { spec, feed: &sealed, dense: &dense, loss: &loss, canceled };
        trained.extend(stacking.run(&stack)?);
    }
    trained.sort_by_key(|one| one.id);
    result(&trained)
}

impl GroupsSpec {
    /// Groups have neither images nor validation rows.
    fn as_training(&self) -> TrainingSpec {
        TrainingSpec {
            program: ProgramSpec { head: Some(self.head.clone()), package: None, output: None, frozen: Vec::new(), loss_method: None },
            inputs: vec![self.input.clone()],
            loss: self.loss,
            class_weights: self.class_weights.clone(),
            label_smoothing: self.label_smoothing,
            huber_delta: self.huber_delta,
            optimizer: self.optimizer.clone(),
            schedule: self.schedule.clone(),
            clip_norm: None,
            batch_rows: self.batch_rows.unwrap_or(1),
            micro_batch_rows: None,
            epochs: self.epochs,
            drop_last: false,
            memory_bytes: self.memory_bytes,
            images: ImageLimits { max_pixels: 0, decode: Decode::Exact },
            seed: self.seed,
            precision: Precision::F32,
            augment: None,
            validation: ValidationSpec { metric: MetricName::Loss, patience: None, min_delta: 0.0, restore_best: false },
            checkpoint_steps: None,
            checkpoint_epochs: None,
        }
    }

    /// Rows of a batch, for a group with this many rows.
    fn batch(&self, rows: usize) -> usize {
        self.batch_rows.unwrap_or(rows).min(rows).max(1)
    }
}

fn dense_input(feed: &Sealed, spec: &GroupsSpec) -> Result<Dense, EngineError> {
    let name = &spec.input;
    let (column, _) = feed.column(name).ok_or_else(|| EngineError::BadRequest(format!("the feed has no column '{name}'")))?;
    let dense = feed.dense(column).ok_or_else(|| EngineError::BadRequest(format!("column '{name}' must be named dense in the feed")))?;
    if dense.dtype != Dtype::F32 {
        return Err(EngineError::BadRequest(format!("the heads take f32, column '{name}' is {:?}", dense.dtype)));
    }
    if dense.width == spec.head.inputs {
        return Ok(dense);
    }
    Err(EngineError::BadRequest(format!("the heads take {} features, column '{name}' has {}", spec.head.inputs, dense.width)))
}

/// Training rows by group, each group's by their ids.
fn groups_of(feed: &Sealed) -> Result<Vec<Group>, EngineError> {
    let ids = feed.rows.groups.as_ref().ok_or_else(|| EngineError::BadRequest("the feed has no column __group".into()))?;
    let mut by_id: HashMap<i64, Vec<u32>> = HashMap::new();
    for (row, id) in ids.iter().enumerate().filter(|(row, _)| !feed.rows.is_validation(*row)) {
        by_id.entry(*id).or_default().push(row as u32);
    }
    let mut groups: Vec<Group> = by_id.into_iter().map(|(id, rows)| Group { id, rows }).collect();
    for group in &mut groups {
        group.rows.sort_by_key(|row| feed.rows.id(*row as usize));
    }
    groups.sort_by_key(|group| (group.rows.len(), group.id));
    Ok(groups)
}

/// Groups that are trained together: they have the same number of steps and similar sizes.
fn stacks(groups: Vec<Group>, spec: &GroupsSpec) -> Vec<Vec<Group>> {
    let mut stacks: Vec<Vec<Group>> = Vec::new();
    for group in groups {
        let rows = group.rows.len();
        let steps = |rows: usize| rows.div_ceil(spec.batch(rows));
        let fits = stacks.last().is_some_and(|stack| {
            let smallest = stack[0].rows.len();
            let values = (stack.len() + 1) * rows * spec.head.inputs;
            let parameters = (stack.len() as u128 + 1) * budget::parameters(&spec.head);
            let small = stack.len() < STACK_GROUPS && values <= STACK_VALUES && parameters <= STACK_PARAMETERS;
            steps(smallest) == steps(rows) && rows <= 2 * smallest && small
        });
        match stacks.last_mut().filter(|_| fits) {
            Some(stack) => stack.push(group),
            None => stacks.push(vec![group]),
        }
    }
    stacks
}

/// The inputs of a stack's training.
struct Stacking<'a> {
    spec: &'a GroupsSpec,
    feed: &'a Sealed,
    dense: &'a Dense,
    loss: &'a Loss,
    canceled: &'a AtomicBool,
}

/// Rows of one step, places padded: `[groups × width]` of each.
struct Step {
    features: Tensor,
    target: Tensor,
    /// `[groups, width]`; a group's weights are divided by their sum.
    shares: Tensor,
    /// Sum of weights of each group, those of classes included.
    weights: Vec<f64>,
}

impl Stacking<'_> {
    fn run(&self, stack: &[Group]) -> Result<Vec<Trained>, EngineError> {
        self.train(stack).map_err(|error| match error {
            Stop::Torch(error) => EngineError::torch(head::NAME, error),
            Stop::Engine(error) => error,
        })
    }

    fn train(&self, stack: &[Group]) -> Result<Vec<Trained>, Stop> {
        let groups = stack.len() as i64;
        let layers = self.layers(groups)?;
        let tensors: Vec<Tensor> = layers.iter().flat_map(|(w, b)| [w.shallow_clone(), b.shallow_clone()]).collect();
        let mut flat = flatten(&tensors, 0)?;
        let mut optimizer = Optimizer::new(&self.spec.optimizer.options(), &flat.values, &flat.gradients)?;
        let steps = stack.iter().map(|g| g.rows.len().div_ceil(self.spec.batch(g.rows.len()))).max().unwrap_or(0);
        let schedule = Schedule::new(&self.spec.schedule, self.spec.optimizer.lr, steps, self.spec.epochs);
        let whole = if steps == 1 { Some(self.step(stack.iter().map(|g| g.rows.clone()).collect())?) } else { None };
        let (mut sums, mut weights) = (vec![0.0; stack.len()], vec![0.0; stack.len()]);
        for epoch in 0..self.spec.epochs {
            sums.fill(0.0);
            weights.fill(0.0);
            let orders: Vec<Vec<u32>> = if steps == 1 { Vec::new() } else { stack.iter().map(|g| self.order(g, epoch)).collect() };
            for step in 0..steps {
                if self.canceled.load(Ordering::Relaxed) {
                    return Err(Stop::Engine(EngineError::Canceled));
                }
                let made;
                let batch = match &whole {
                    Some(batch) => batch,
                    None => {
                        made = self.step(orders.iter().map(|rows| part(rows, self.spec.batch(rows.len()), step)).collect())?;
                        &made
                    }
                };
                let _ = flat.gradients.f_zero_()?;
                let means = self.means(&layers, batch, groups)?;
                means.f_sum(Kind::Float)?.f_backward()?;
                optimizer.step(schedule.at((epoch * steps + step) as u64))?;
                let means = Vec::<f32>::try_from(means.f_detach()?)?;
                for ((sum, weight), (mean, own)) in sums.iter_mut().zip(&mut weights).zip(means.iter().zip(&batch.weights)) {
                    *sum += f64::from(*mean) * own;
                    *weight += own;
                }
            }
        }
        let parameters = tensors.iter().map(|t| t.f_detach()?.f_reshape([groups, -1])).collect::<Result<Vec<_>, TchError>>()?;
        let all = Tensor::f_cat(&parameters, 1)?.f_contiguous()?;
        let values = memory::values::<f32>(&all).ok_or_else(|| EngineError::Internal("parameters are not dense".into()))?;
        let each = values.chunks((values.len() / stack.len().max(1)).max(1));
        let one = |((group, parameters), (sum, weight)): ((&Group, &[f32]), (&f64, &f64))| Trained {
            id: group.id,
            rows: group.rows.len(),
            loss: if *weight > 0.0 { sum / weight } else { f64::NAN },
            // Rows without weight have no effect: the initial parameters are not a model.
            parameters: if *weight > 0.0 { parameters.to_vec() } else { vec![f32::NAN; parameters.len()] },
        };
        Ok(stack.iter().zip(each).zip(sums.iter().zip(&weights)).map(one).collect())
    }

    /// Weights `[groups, out, in]` and biases `[groups, 1, out]`, the same for each group at first.
    fn layers(&self, groups: i64) -> Result<Vec<(Tensor, Tensor)>, Stop> {
        let stacked = |(weight, bias): (Tensor, Tensor)| {
            let weight = weight.f_unsqueeze(0)?.f_repeat([groups, 1, 1])?.set_requires_grad(true);
            let bias = bias.f_view([1, 1, -1])?.f_repeat([groups, 1, 1])?.set_requires_grad(true);
            Ok((weight, bias))
        };
        head::first_layers(&self.spec.head, self.spec.seed)?.into_iter().map(stacked).collect()
    }

    /// A group's rows in the order of an epoch.
    fn order(&self, group: &Group, epoch: usize) -> Vec<u32> {
        let mut rows = group.rows.clone();
        Stream::of(&[self.spec.seed, PURPOSE, epoch as u64, group.id as u64]).shuffle(&mut rows);
        rows
    }

    /// The tensors of one step, from each group's rows in it.
    fn step(&self, rows: Vec<Vec<u32>>) -> Result<Step, Stop> {
        let width = rows.iter().map(Vec::len).max().unwrap_or(0);
        let labels = &self.feed.rows.labels;
        let weight = |row: u32| self.feed.rows.weights.as_ref().map_or(1.0, |w| w[row as usize]);
        // The weight of a row's class only counts in the sum: each row's loss already includes it.
        let counted = |row: &u32| weight(*row) * self.loss.class_factor(labels, *row);
        let weights: Vec<f64> = rows.iter().map(|own| own.iter().map(counted).sum()).collect();
        let mut shares = vec![0_f32; rows.len() * width];
        let mut places = vec![0_u32; rows.len() * width];
        for (((own, sum), shares), places) in
            rows.iter().zip(&weights).zip(shares.chunks_mut(width.max(1))).zip(places.chunks_mut(width.max(1)))
        {
            // A place without a row repeats the group's first row, with weight 0.
            places.fill(own.first().copied().unwrap_or(0));
            places[..own.len()].copy_from_slice(own);
            for (share, row) in shares.iter_mut().zip(own) {
                *share = if *sum > 0.0 { (weight(*row) / sum) as f32 } else { 0.0 };
            }
        }
        let (groups, inputs) = (rows.len() as i64, self.dense.width as i64);
        let features = self.dense.gather(&places)?.f_view([groups, width as i64, inputs])?;
        let target = self.loss.target(labels, None, &places)?.tensor;
        let shares = Tensor::f_from_slice(&shares)?.f_view([groups, width as i64])?;
        Ok(Step { features, target, shares, weights })
    }

    /// The weighted mean loss of each group, `[groups]`.
    fn means(&self, layers: &[(Tensor, Tensor)], step: &Step, groups: i64) -> Result<Tensor, TchError> {
        let mut x = step.features.shallow_clone();
        for (i, (weight, bias)) in layers.iter().enumerate() {
            x = bias.f_baddbmm(&x, &weight.f_transpose(1, 2)?, 1.0, 1.0)?;
            if i + 1 < layers.len() {
                x = activated(self.spec.head.activation, &x)?;
            }
        }
        let outputs = self.spec.head.outputs as i64;
        let losses = self.loss.each(&x.f_reshape([-1, outputs])?, &step.target)?;
        losses.f_view([groups, -1])?.f_mul(&step.shares)?.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)
    }
}

fn part(rows: &[u32], batch: usize, step: usize) -> Vec<u32> {
    rows.chunks(batch).nth(step).map(<[u32]>::to_vec).unwrap_or_default()
}

/// How a stack's training ends.
enum Stop {
    Torch(TorchError),
    Engine(EngineError),
}

impl From<TchError> for Stop {
    fn from(error: TchError) -> Self {
        Self::Torch(error.into())
    }
}

impl From<TorchError> for Stop {
    fn from(error: TorchError) -> Self {
        Self::Torch(error)
    }
}

impl From<EngineError> for Stop {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
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

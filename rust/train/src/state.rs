//! The state of one training: the program, its parameters, its position. Functions over it are in `step` (forward, backward and
//! the optimizer), `epoch`, `evaluate`, `checkpoint` and `export`.
//!
//! All workers make the same steps, since each step waits for the sums of all. So all see the same end of an epoch, the same due
//! checkpoint, the same loss that is NaN or infinite.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flambeau_engine::EngineError;
use flambeau_torch_ext::Flat;
use serde::{Deserialize, Serialize};
use tch::{TchError, Tensor};

use super::batched_heads::BatchedHeads;
use super::budget;
use super::dataset::{MappedDataset, TrainingDataset};
use super::flat_params::FlatParams;
use super::head;
use super::inputs::InputPipeline;
use super::loss::Loss;
use super::process_group::ProcessGroup;
use super::program::Program;
use super::progress::{EpochRow, Event, Progress};
use super::schedule::Schedule;
use super::spec::{Precision, TrainingSpec};
use super::split::DataSplit;
use super::step_timer::StepTimer;

/// The state that changes from step to step, besides the parameters; a checkpoint holds it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) epoch: usize,
    pub(super) step_in_epoch: usize,
    pub(super) step: u64,
    pub(super) loss: f64,
    pub(super) weight: f64,
    pub(super) samples: u64,
    pub(super) seconds: f64,
    pub(super) lr: f64,
    pub(super) stopped: bool,
    pub(super) best: Option<f64>,
    pub(super) best_epoch: usize,
    pub(super) history: Vec<EpochRow>,
}

/// Copies of the best parameters and buffers.
pub(super) struct Best {
    pub(super) values: Tensor,
    pub(super) buffers: Vec<Tensor>,
}

/// What trainings over the same rows share: the rows, and the workers.
pub(super) struct Context {
    pub(super) dataset: Arc<MappedDataset>,
    // The dataset and the ranks stay open while a training uses them.
    pub(super) _dataset: Arc<TrainingDataset>,
    pub(super) ranks: Arc<ProcessGroup>,
    pub(super) canceled: Arc<AtomicBool>,
    pub(super) split: Arc<DataSplit>,
    pub(super) inputs: Arc<InputPipeline>,
}

impl Context {
    pub(super) fn check_canceled(&self) -> Result<(), EngineError> {
        check_canceled(&self.canceled)
    }
}

pub(super) fn check_canceled(canceled: &AtomicBool) -> Result<(), EngineError> {
    if canceled.load(Ordering::Relaxed) { Err(EngineError::Canceled) } else { Ok(()) }
}

/// What is trained, and its loss: all that can be checked before the workers speak with one another.
pub(super) struct Model {
    pub(super) program: Program,
    pub(super) loss: Loss,
}

impl Model {
    pub(super) fn new(dataset: &MappedDataset, spec: &TrainingSpec) -> Result<Self, EngineError> {
        spec.check()?;
        if let Some(head) = &spec.program.head {
            budget::check_head(head, spec.memory_bytes)?;
        }
        let program = Program::new(spec)?;
        if program.has_own_loss() && spec.class_weights.is_some() {
            return Err(EngineError::BadRequest("classWeights do not go with a loss of the program's own".into()));
        }
        let loss = Loss::new(spec, program.outputs, program.dtype)?;
        if program.has_own_loss() { loss.check_own(&dataset.rows) } else { loss.check(&dataset.rows) }?;
        Ok(Self { program, loss })
    }
}

/// See the module.
pub(super) struct TrainState {
    pub(super) spec: TrainingSpec,
    pub(super) program: Program,
    /// The layers of a head that is trained directly. None: autograd differentiates the program's own operators.
    pub(super) head: Option<BatchedHeads>,
    pub(super) params: FlatParams,
    pub(super) loss: Loss,
    pub(super) schedule: Schedule,
    pub(super) position: Position,
    pub(super) best: Option<Best>,
    pub(super) timer: StepTimer,
    /// How many epochs of the history were told.
    pub(super) told: usize,
}

impl TrainState {
    /// Before the first step. `buffers`: see [`FlatParams::new`].
    pub(super) fn new(spec: TrainingSpec, model: Model, split: &DataSplit, buffers: Option<Flat>) -> Result<Self, EngineError> {
        if !split.has_validation && spec.validation.patience.is_some() {
            return Err(EngineError::BadRequest("early stopping needs validation rows: set validationIndicatorCol".into()));
        }
        let Model { program, loss } = model;
        let tensors: Vec<Tensor> = program.trainable.iter().map(|(_, tensor)| tensor.shallow_clone()).collect();
        let params = FlatParams::new(&program.name, &spec, &program.groups, &tensors, buffers)?;
        let head = head_of(&spec, &params).map_err(|error| EngineError::torch(head::NAME, error))?;
        let schedule = Schedule::new(&spec.schedule, spec.optimizer.lr, split.batches, spec.epochs);
        let position = Position { lr: schedule.at(0), ..Position::default() };
        Ok(Self { spec, program, head, params, loss, schedule, position, best: None, timer: StepTimer::default(), told: 0 })
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<Event> {
        let done = self.position.epoch >= self.spec.epochs;
        if self.position.stopped { Some(Event::StoppedEarly) } else { done.then_some(Event::Done) }
    }

    /// Whether a checkpoint is due after the last step.
    pub(super) fn checkpoint_due(&self) -> bool {
        self.spec.checkpoint_steps.is_some_and(|every| self.position.step.is_multiple_of(every))
    }

    /// Continues at a checkpoint's position. The parameters are the caller's.
    pub(super) fn resume_at(&mut self, position: Position) {
        self.schedule.replay(&position.history, &self.spec.validation);
        self.position = position;
        self.told = 0;
    }

    /// Tells of each epoch once. `event`: what happened in the last pass of the loop, if anything did.
    pub(super) fn report(&mut self, steps_per_epoch: usize, event: Option<Event>) -> Progress {
        let position = &self.position;
        let now = (position.weight > 0.0).then(|| position.loss / position.weight);
        let last = position.history.last();
        let (samples, seconds) = match last {
            Some(last) if position.samples == 0 => (last.samples, last.seconds),
            _ => (position.samples, position.seconds),
        };
        Progress {
            epoch: position.epoch,
            epochs: self.spec.epochs,
            step: position.step,
            steps_per_epoch,
            loss: now.or_else(|| last.and_then(|row| row.train_loss)),
            lr: position.lr,
            samples_per_second: if seconds > 0.0 { samples as f64 / seconds } else { 0.0 },
            event: event.or(self.ended()).unwrap_or(Event::Running),
            // A checkpoint may be due after any step; an epoch's end is the only event before an epoch's first one.
            epoch_ended: event.is_some() && position.step_in_epoch == 0,
            ended: position.history[std::mem::replace(&mut self.told, position.history.len())..].to_vec(),
        }
    }
}

/// A head that is trained directly: in f32, all of it, with a loss by name.
pub(super) fn is_plain(spec: &TrainingSpec) -> bool {
    spec.program.frozen.is_empty() && spec.program.loss_method.is_none() && spec.precision == Precision::F32
}

fn head_of(spec: &TrainingSpec, params: &FlatParams) -> Result<Option<BatchedHeads>, TchError> {
    let Some(head) = spec.program.head.as_ref().filter(|_| is_plain(spec)) else { return Ok(None) };
    let one_row = |all: &Tensor| all.f_unsqueeze(0);
    BatchedHeads::new(head, &one_row(&params.flat.values)?, &one_row(&params.flat.gradients)?).map(Some)
}

//! A training: batches, steps, and their results. `stack` has the loop, of one or of several.
//!
//! A trainer makes one step after another until its time is up or the caller may act on something. All workers make the same
//! steps, since each step waits for the sums of all. So all see the same end of an epoch, the same due checkpoint, and the same
//! loss that is NaN or infinite.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flambeau_engine::EngineError;
use flambeau_torch_ext::{Flat, process};
use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::batch::{self, Ahead, Batch, Sources};
use super::budget;
use super::clock::Clock;
use super::deal::Deal;
use super::evaluate::weighted_loss;
use super::feed::{Feed, Sealed};
use super::head::{self, Noise};
use super::loss::Loss;
use super::pass::{HeadPass, Lesson};
use super::program::Program;
use super::ranks::Ranks;
use super::schedule::Schedule;
use super::spec::{Precision, TrainingSpec};
use super::stack;
use super::steps::{Parameters, SUMMING};

/// Ids that a message names.
const NAMED_IDS: usize = 20;

/// A finished epoch. Losses are weighted means, over the rows of all workers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct EpochRow {
    pub epoch: usize,
    /// None if no row had any weight.
    pub train_loss: Option<f64>,
    /// None if there are no validation rows.
    pub validation_loss: Option<f64>,
    pub metrics: BTreeMap<String, f64>,
    /// Of the last step.
    pub lr: f64,
    /// Rows trained on, by all workers.
    pub samples: u64,
    pub seconds: f64,
    /// The part of `seconds` in which this worker's steps waited for their rows.
    #[serde(default)]
    pub waited_seconds: f64,
}

/// Why `run` returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// Its time was up.
    Running,
    /// An epoch ended.
    Epoch,
    /// A checkpoint is due (also if an epoch ended at the same time).
    Checkpoint,
    /// All epochs are done.
    Done,
    /// Validation has not improved for long enough.
    StoppedEarly,
}

/// The state of a trainer.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Progress {
    /// Of the next step.
    pub epoch: usize,
    pub epochs: usize,
    /// Steps made in all.
    pub step: u64,
    pub steps_per_epoch: usize,
    /// Mean over this epoch so far, or over the last one.
    pub loss: Option<f64>,
    /// Of the last step.
    pub lr: f64,
    /// Of all workers, in this epoch.
    pub samples_per_second: f64,
    pub event: Event,
    pub history: Vec<EpochRow>,
}

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

/// The parts of a trainer that do not depend on other workers.
pub(super) struct Parts {
    pub(super) feed: Arc<Sealed>,
    pub(super) program: Program,
    pub(super) loss: Loss,
    pub(super) sources: Arc<Sources>,
}

impl Parts {
    /// `sources`: those of a training over the same inputs.
    pub(super) fn new(feed: &Feed, spec: &TrainingSpec, sources: Option<Arc<Sources>>) -> Result<Self, EngineError> {
        spec.check()?;
        if let Some(head) = &spec.program.head {
            budget::check_head(head, spec.memory_bytes)?;
        }
        let feed = feed.sealed()?;
        let program = Program::new(spec)?;
        if program.has_own_loss() && spec.class_weights.is_some() {
            return Err(EngineError::BadRequest("classWeights do not go with a loss of the program's own".into()));
        }
        let loss = Loss::new(spec, program.outputs, program.dtype)?;
        if program.has_own_loss() { loss.check_own(&feed.rows) } else { loss.check(&feed.rows) }?;
        let sources = match sources {
            Some(sources) => sources,
            None => Arc::new(Sources::new(spec, &program, feed.clone())?),
        };
        budget::check_batch(spec, &sources, feed.rows.len())?;
        Ok(Self { feed, program, loss, sources })
    }
}

/// See the module.
pub struct Trainer {
    pub(super) spec: TrainingSpec,
    pub(super) feed: Arc<Sealed>,
    // The feed and the ranks stay open while a trainer uses them.
    _feed: Arc<Feed>,
    pub(super) ranks: Arc<Ranks>,
    pub(super) canceled: Arc<AtomicBool>,
    pub(super) program: Program,
    pub(super) parameters: Parameters,
    pub(super) loss: Loss,
    schedule: Schedule,
    pub(super) deal: Arc<Deal>,
    pub(super) sources: Arc<Sources>,
    ahead: Option<Ahead>,
    pub(super) position: Position,
    pub(super) best: Option<Best>,
    /// Of a head that is trained directly.
    pass: Option<HeadPass>,
    pub(super) clock: Clock,
}

impl Trainer {
    /// Binds a training to the rows of this worker's feed. All workers open theirs at the same time.
    ///
    /// # Errors
    /// A specification that does not fit the program or the rows, or a peer that is gone.
    pub fn open(feed: &Arc<Feed>, ranks: &Arc<Ranks>, spec: TrainingSpec, canceled: Arc<AtomicBool>) -> Result<Self, EngineError> {
        process::keep_to_threads();
        let parts = Parts::new(feed, &spec, None)?;
        let deal = Arc::new(Deal::new(&parts.feed, ranks, &spec, &parts.loss, parts.program.normalizes(), &canceled)?);
        Self::over(feed, ranks, spec, canceled, parts, deal, None)
    }

    /// `room`: see [`Parameters::new`].
    pub(super) fn over(
        feed: &Arc<Feed>,
        ranks: &Arc<Ranks>,
        spec: TrainingSpec,
        canceled: Arc<AtomicBool>,
        parts: Parts,
        deal: Arc<Deal>,
        room: Option<Flat>,
    ) -> Result<Self, EngineError> {
        if !deal.has_validation && spec.validation.patience.is_some() {
            return Err(EngineError::BadRequest("early stopping needs validation rows: set validationIndicatorCol".into()));
        }
        let parameters = Parameters::new(&spec, &parts.program, room)?;
        let pass = pass_of(&spec, &parameters).map_err(|error| EngineError::torch(head::NAME, error))?;
        let schedule = Schedule::new(&spec.schedule, spec.optimizer.lr, deal.batches, spec.epochs);
        let position = Position { lr: schedule.at(0), ..Position::default() };
        Ok(Self {
            spec,
            feed: parts.feed,
            _feed: feed.clone(),
            ranks: ranks.clone(),
            canceled,
            program: parts.program,
            parameters,
            loss: parts.loss,
            schedule,
            deal,
            sources: parts.sources,
            ahead: None,
            position,
            best: None,
            pass,
            clock: Clock::default(),
        })
    }

    /// Trains for about `limit`, or until the caller may act on something.
    ///
    /// # Errors
    /// See [`EngineError`]; a peer that is gone, a loss that is NaN or infinite, a cancellation.
    pub fn run(&mut self, limit: Duration) -> Result<Progress, EngineError> {
        let events = stack::advance(std::slice::from_mut(self), None, limit)?;
        Ok(self.progress(events.first().copied().unwrap_or(Event::Running)))
    }

    /// How it ended, if it has.
    pub(super) fn ended(&self) -> Option<Event> {
        let done = self.position.epoch >= self.spec.epochs;
        if self.position.stopped { Some(Event::StoppedEarly) } else { done.then_some(Event::Done) }
    }

    /// Whether a checkpoint is due after the last step.
    pub(super) fn owes_checkpoint(&self) -> bool {
        self.spec.checkpoint_steps.is_some_and(|every| self.position.step.is_multiple_of(every))
    }

    pub(super) fn look(&self) -> Result<(), EngineError> {
        if self.canceled.load(Ordering::Relaxed) { Err(EngineError::Canceled) } else { Ok(()) }
    }

    pub(super) fn step(&mut self) -> Result<(), EngineError> {
        let batch = self.next_batch()?;
        self.parameters.begin()?;
        let (loss, weight) = self.learn(&batch)?;
        let (loss, weight) = self.sum(loss, weight)?;
        self.change(&batch, loss, weight, weight)
    }

    /// Adds up gradients, losses and weights over all workers. Returns the sums of losses and of weights.
    fn sum(&mut self, loss: f64, weight: f64) -> Result<(f64, f64), EngineError> {
        if self.ranks.world == 1 {
            return Ok((loss, weight));
        }
        self.parameters.put_sums(loss, weight)?;
        let gradients = self.parameters.flat.gradients.shallow_clone();
        self.sum_over_ranks(&gradients)?;
        self.parameters.sums()
    }

    /// Adds up gradients over all workers, and records how long that takes.
    pub(super) fn sum_over_ranks(&mut self, gradients: &Tensor) -> Result<(), EngineError> {
        let since = Instant::now();
        self.ranks.sum(&[gradients], SUMMING, &self.canceled)?;
        self.clock.summed += since.elapsed();
        Ok(())
    }

    /// Records the duration of a step.
    pub(super) fn note_step(&mut self, took: Duration) {
        self.position.seconds += took.as_secs_f64();
        self.clock.note(took);
        if self.ranks.rank == 0
            && let Some(advice) = self.clock.advice(self.ranks.world, self.spec.batch_rows)
        {
            log::warn!("{}: {advice}", self.program.name);
        }
    }

    /// The inputs of a pass of heads for these rows; see [`Lesson`].
    pub(super) fn lesson<'a>(&'a self, input: &'a Tensor, rows: &'a [u32], places: &'a [u32], adds: bool, means: bool) -> Lesson<'a> {
        let noise = Noise { seed: self.spec.seed, step: self.position.step, places };
        Lesson { input, columns: &self.feed.rows, rows, noise, loss: &self.loss, adds, means }
    }

    /// The second half of a step: with the gradients of all workers added up, and their sums of losses and of weights.
    /// `divisor`: turns the gradients into means.
    pub(super) fn change(&mut self, batch: &Batch, loss: f64, weight: f64, divisor: f64) -> Result<(), EngineError> {
        let lr = self.schedule.at(self.position.step);
        if !loss.is_finite() {
            return Err(self.diverged(loss, lr, batch));
        }
        if weight > 0.0 {
            self.parameters.step(divisor, lr)?;
        }
        let position = &mut self.position;
        position.loss += loss;
        position.weight += weight;
        position.samples += batch.part.global as u64;
        position.lr = lr;
        position.step += 1;
        position.step_in_epoch += 1;
        Ok(())
    }

    /// Back-propagates this worker's part. Returns the sums of its losses and weights.
    fn learn(&mut self, batch: &Batch) -> Result<(f64, f64), EngineError> {
        let rows = &batch.part.rows;
        let micro = self.spec.micro_batch_rows.unwrap_or(rows.len()).max(1);
        let (mut loss_sum, mut weight_sum) = (0.0, 0.0);
        for (i, chunk) in rows.chunks(micro).enumerate() {
            self.look()?;
            let torch = |error: tch::TchError| EngineError::torch(&self.program.name, error);
            let (first, count) = ((i * micro) as i64, chunk.len() as i64);
            let narrowed: Vec<Tensor>;
            let inputs = if chunk.len() == rows.len() {
                &batch.inputs
            } else {
                narrowed = batch.inputs.iter().map(|t| t.f_narrow(0, first, count)).collect::<Result<_, _>>().map_err(torch)?;
                &narrowed
            };
            let places = &batch.part.places[i * micro..i * micro + chunk.len()];
            if let Some(pass) = &self.pass {
                let (losses, weight) = pass.learn(&self.lesson(&inputs[0], chunk, places, i > 0, false)).map_err(torch)?;
                loss_sum += losses.iter().sum::<f64>();
                weight_sum += weight;
                continue;
            }
            let target = self.loss.target(&self.feed.rows.labels, self.feed.rows.weights.as_deref(), chunk).map_err(torch)?;
            let noise = Noise { seed: self.spec.seed, step: self.position.step, places };
            let output = self.program.learn(inputs, &noise, self.ranks.rank)?;
            let loss = weighted_loss(&mut self.program, &self.loss, &output, &target, true)?;
            let torch = |error: tch::TchError| EngineError::torch(&self.program.name, error);
            loss.f_backward().map_err(torch)?;
            loss_sum += loss.f_double_value(&[]).map_err(torch)?;
            weight_sum += target.weight_sum;
        }
        Ok((loss_sum, weight_sum))
    }

    /// The batch of this step; starts the next one if rows are decoded.
    pub(super) fn next_batch(&mut self) -> Result<Batch, EngineError> {
        let since = Instant::now();
        let key = (self.position.epoch, self.position.step_in_epoch);
        let made = self.ahead.take().and_then(|ahead| ahead.take(key));
        let batch = match made {
            Some(made) => made?,
            None => batch::make(&self.sources, self.deal.part(key.0, key.1), key.0)?,
        };
        self.clock.waited += since.elapsed();
        if self.sources.decodes() {
            let next = if key.1 + 1 < self.deal.batches { (key.0, key.1 + 1) } else { (key.0 + 1, 0) };
            if next.0 < self.spec.epochs {
                let part = self.deal.part(next.0, next.1);
                self.ahead = Some(Ahead::start(&self.sources, part, next));
            }
        }
        Ok(batch)
    }

    /// Steps and epochs are counted from 1, as in the history that users see.
    fn diverged(&self, loss: f64, lr: f64, batch: &Batch) -> EngineError {
        let ids: Vec<i64> = batch.part.rows.iter().take(NAMED_IDS).map(|row| self.feed.rows.id(*row as usize)).collect();
        let more = if batch.part.rows.len() > NAMED_IDS { ", …" } else { "" };
        let ids = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        EngineError::Diverged(format!(
            "the loss is {loss} at step {} (epoch {}, learning rate {lr}) of '{}'; rows of this worker's part of the batch have the ids {ids}{more}. \
             Lower learningRate, set clipNorm, or look for extreme values in these rows",
            self.position.step + 1,
            self.position.epoch + 1,
            self.program.name
        ))
    }

    pub(super) fn progress(&self, event: Event) -> Progress {
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
            steps_per_epoch: self.deal.batches,
            loss: now.or_else(|| last.and_then(|row| row.train_loss)),
            lr: position.lr,
            samples_per_second: if seconds > 0.0 { samples as f64 / seconds } else { 0.0 },
            event,
            history: position.history.clone(),
        }
    }

    /// Drops the next batch: the position has changed.
    pub(super) fn forget_ahead(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            ahead.wait();
        }
    }
}

/// None if autograd differentiates the program's own operators.
fn pass_of(spec: &TrainingSpec, parameters: &Parameters) -> Result<Option<HeadPass>, tch::TchError> {
    let plain = spec.program.frozen.is_empty() && spec.program.loss_method.is_none() && spec.precision == Precision::F32;
    let Some(head) = spec.program.head.as_ref().filter(|_| plain) else { return Ok(None) };
    let as_rows = |all: &Tensor| all.f_unsqueeze(0);
    HeadPass::new(head, &as_rows(&parameters.flat.values)?, &as_rows(&parameters.flat.gradients)?).map(Some)
}

impl Drop for Trainer {
    fn drop(&mut self) {
        self.forget_ahead();
    }
}

//! Several trainings over one feed that are one step further at the same time: the parameter maps of a fit.
//!
//! Heads that differ only in how they are optimized (optimizer, schedule, clipping, epochs, validation, checkpoints) use the same
//! batches. So a batch is gathered once, one pass (`pass`) computes the gradients of all of them, and one sum over the workers
//! adds up all gradients. Each keeps its own optimizer, position, validation and end. Its result is the same as if it were
//! trained alone, except for the order in which a product's terms are added (tested to 1e-4). All parameters lie in one matrix, a
//! row for each training, which its trainer knows as its flat vector.
//!
//! Those that are furthest behind make the next step: trainings that were resumed at different steps meet again. If less than
//! half of a stack is due (the others have ended), the due ones step one by one. A single training of any kind is a stack too.
//! Used by the task's thread, like a trainer.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use flambeau_engine::EngineError;
use flambeau_torch_ext::{Flat, process};
use tch::{Device, Kind, TchError, Tensor};

use super::batch::Batch;
use super::deal::Deal;
use super::feed::Feed;
use super::head;
use super::pass::HeadPass;
use super::ranks::Ranks;
use super::spec::{HeadSpec, Precision, TrainingSpec};
use super::steps::EXTRA;
use super::trainer::{Event, Parts, Progress, Trainer};

/// See the module.
pub struct Stack {
    trainers: Vec<Trainer>,
    /// None for one training by itself.
    together: Option<Together>,
}

/// The heads of all trainings as one.
pub(super) struct Together {
    trainings: usize,
    pass: HeadPass,
    /// Of all parameters and what follows them, training by training.
    gradients: Tensor,
}

impl Stack {
    /// Binds trainings to the rows of this worker's feed. All workers open theirs at the same time.
    ///
    /// # Errors
    /// As [`Trainer::open`]; several that are not heads which differ only in how they are optimized.
    pub fn open(feed: &Arc<Feed>, ranks: &Arc<Ranks>, specs: Vec<TrainingSpec>, canceled: Arc<AtomicBool>) -> Result<Self, EngineError> {
        let mut specs = specs.into_iter();
        match (specs.next(), specs.len()) {
            (None, _) => Err(EngineError::BadRequest("there is no training".into())),
            (Some(only), 0) => Ok(Self { trainers: vec![Trainer::open(feed, ranks, only, canceled)?], together: None }),
            (Some(first), _) => Self::of_heads(feed, ranks, std::iter::once(first).chain(specs).collect(), canceled),
        }
    }

    fn of_heads(feed: &Arc<Feed>, ranks: &Arc<Ranks>, specs: Vec<TrainingSpec>, canceled: Arc<AtomicBool>) -> Result<Self, EngineError> {
        process::keep_to_threads();
        let head = stackable(&specs)
            .ok_or_else(|| EngineError::BadRequest("the heads of a stack may differ only in how they are optimized".into()))?
            .clone();
        let mut parts: Vec<Parts> = Vec::new();
        for spec in &specs {
            parts.push(Parts::new(feed, spec, parts.first().map(|first| first.sources.clone()))?);
        }
        let deal = Arc::new(Deal::new(&parts[0].feed, ranks, &specs[0], &parts[0].loss, false, &canceled)?);
        let count: usize = parts[0].program.learning.iter().map(|(_, tensor)| tensor.numel()).sum();
        let torch = |error: TchError| EngineError::torch(head::NAME, error);
        let (values, gradients) = room(specs.len(), count + EXTRA).map_err(torch)?;
        let mut trainers = Vec::new();
        for (row, (spec, parts)) in specs.into_iter().zip(parts).enumerate() {
            let flat = row_of(&values, &gradients, row, count).map_err(torch)?;
            trainers.push(Trainer::over(feed, ranks, spec, canceled.clone(), parts, deal.clone(), Some(flat))?);
        }
        let pass = HeadPass::new(&head, &values, &gradients).map_err(torch)?;
        let gradients = gradients.f_view([-1]).map_err(torch)?;
        Ok(Self { together: Some(Together { trainings: trainers.len(), pass, gradients }), trainers })
    }

    /// Trains for about `limit`, or until one of them needs the caller. Returns the state of each, in their order; one that has
    /// ended returns its end every time.
    ///
    /// # Errors
    /// As [`Trainer::run`]: the first failure ends all.
    pub fn run(&mut self, limit: Duration) -> Result<Vec<Progress>, EngineError> {
        let events = advance(&mut self.trainers, self.together.as_ref(), limit)?;
        Ok(self.trainers.iter().zip(events).map(|(trainer, event)| trainer.progress(event)).collect())
    }

    /// One of them, for saving its state or result.
    ///
    /// # Errors
    /// There is none at this place.
    pub fn trainer(&mut self, place: usize) -> Result<&mut Trainer, EngineError> {
        self.trainers.get_mut(place).ok_or_else(|| EngineError::BadRequest(format!("there is no training {place}")))
    }
}

/// The loop of one training and of several: steps and ends of epochs, until about `limit` has passed or one needs the caller.
/// Returns what happened to each.
pub(super) fn advance(trainers: &mut [Trainer], together: Option<&Together>, limit: Duration) -> Result<Vec<Event>, EngineError> {
    process::keep_to_threads();
    let started = Instant::now();
    loop {
        trainers[0].look()?;
        let due = due(trainers);
        let mut events = vec![None; trainers.len()];
        let at_end = due.first().is_some_and(|one| trainers[*one].position.step_in_epoch >= trainers[*one].deal.batches);
        if at_end {
            for &one in &due {
                events[one] = Some(trainers[one].end_epoch(Instant::now())?);
            }
        } else {
            step(trainers, together, &due, &mut events)?;
        }
        if due.is_empty() || events.iter().any(Option::is_some) || started.elapsed() >= limit {
            let told = |(trainer, event): (&Trainer, Option<Event>)| event.or(trainer.ended()).unwrap_or(Event::Running);
            return Ok(trainers.iter().zip(events).map(told).collect());
        }
    }
}

/// One step of those that are due: together if they are more than half.
fn step(trainers: &mut [Trainer], together: Option<&Together>, due: &[usize], events: &mut [Option<Event>]) -> Result<(), EngineError> {
    let since = Instant::now();
    match together.filter(|_| due.len() * 2 > trainers.len()) {
        Some(together) => together.step(trainers, due)?,
        None => due.iter().try_for_each(|one| trainers[*one].step())?,
    }
    for &one in due {
        let trainer = &mut trainers[one];
        trainer.note_step(since.elapsed());
        if trainer.owes_checkpoint() {
            events[one] = Some(Event::Checkpoint);
        }
    }
    Ok(())
}

impl Together {
    /// One step of all trainings; those that are not due do not change.
    fn step(&self, trainers: &mut [Trainer], due: &[usize]) -> Result<(), EngineError> {
        let torch = |error: TchError| EngineError::torch(head::NAME, error);
        let batch = trainers[due[0]].next_batch()?;
        let (losses, weight) = self.learn(&trainers[due[0]], &batch).map_err(torch)?;
        let mut sums: Vec<(f64, f64)> = losses.into_iter().map(|loss| (loss, weight)).collect();
        if trainers[due[0]].ranks.world > 1 {
            for (trainer, (loss, weight)) in trainers.iter_mut().zip(&sums) {
                trainer.parameters.put_sums(*loss, *weight)?;
            }
            trainers[due[0]].sum_over_ranks(&self.gradients)?;
            sums = trainers.iter().map(|trainer| trainer.parameters.sums()).collect::<Result<_, _>>()?;
            // All have the same rows, so the same sum of weights.
            let weight = sums[due[0]].1;
            if weight > 0.0 {
                let _ = self.gradients.shallow_clone().f_mul_scalar_(1.0 / weight).map_err(torch)?;
            }
        }
        for &one in due {
            trainers[one].change(&batch, sums[one].0, sums[one].1, 1.0)?;
        }
        Ok(())
    }

    /// Back-propagates this worker's part of a batch: means if no other worker has a part. Returns the sum of each training's
    /// losses, and that of the weights.
    fn learn(&self, any: &Trainer, batch: &Batch) -> Result<(Vec<f64>, f64), TchError> {
        let rows = &batch.part.rows;
        let Some(input) = batch.inputs.first().filter(|_| !rows.is_empty()) else {
            let _ = self.gradients.shallow_clone().f_zero_()?;
            return Ok((vec![0.0; self.trainings], 0.0));
        };
        self.pass.learn(&any.lesson(input, rows, &batch.part.places, false, any.ranks.world == 1))
    }
}

/// The trainings that are furthest behind, if one has not ended.
fn due(trainers: &[Trainer]) -> Vec<usize> {
    let place = |trainer: &Trainer| (trainer.position.epoch, trainer.position.step_in_epoch);
    let going: Vec<usize> = (0..trainers.len()).filter(|i| trainers[*i].ended().is_none()).collect();
    let last = going.iter().map(|i| place(&trainers[*i])).min();
    going.into_iter().filter(|i| Some(place(&trainers[*i])) == last).collect()
}

/// The head of trainings that can step together.
fn stackable(specs: &[TrainingSpec]) -> Option<&HeadSpec> {
    let first = specs.first()?;
    let plain = |spec: &TrainingSpec| {
        let as_it_is = spec.program.frozen.is_empty() && spec.program.loss_method.is_none();
        as_it_is && spec.precision == Precision::F32 && spec.micro_batch_rows.is_none() && spec.augment.is_none()
    };
    let like = |spec: &TrainingSpec| {
        spec.program.head == first.program.head
            && spec.inputs == first.inputs
            && (spec.loss, spec.batch_rows, spec.drop_last, spec.seed) == (first.loss, first.batch_rows, first.drop_last, first.seed)
            && (&spec.class_weights, spec.label_smoothing, spec.huber_delta)
                == (&first.class_weights, first.label_smoothing, first.huber_delta)
    };
    first.program.head.as_ref().filter(|_| specs.iter().all(|spec| plain(spec) && like(spec)))
}

/// Values and gradients of this many trainings, `[trainings, width]`.
fn room(trainings: usize, width: usize) -> Result<(Tensor, Tensor), TchError> {
    let zeros = || Tensor::f_zeros([trainings as i64, width as i64], (Kind::Float, Device::Cpu));
    Ok((zeros()?, zeros()?))
}

fn row_of(values: &Tensor, gradients: &Tensor, row: usize, count: usize) -> Result<Flat, TchError> {
    let (values, gradients) = (values.f_select(0, row as i64)?, gradients.f_select(0, row as i64)?);
    Ok(Flat { values: values.f_narrow(0, 0, count as i64)?, gradients })
}

//! The loop of training: steps and ends of epochs. There is one, for whatever makes them ([`Steps`]): one training, several over the
//! same rows ([`TrainingLoop`]), the heads of groups (`grouped_heads`).
//!
//! The loop returns when its time is up or the caller may act on something. So the caller can write checkpoints, report progress, and
//! ask whether the task was killed. Used by the task's thread.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use flambeau_engine::EngineError;
use flambeau_engine::package::Description;
use flambeau_torch_ext::process;

use super::dataset::TrainingDataset;
use super::export::ExportSpec;
use super::inputs::InputPipeline;
use super::loader::Loader;
use super::parameter_maps::ParameterMaps;
use super::process_group::ProcessGroup;
use super::progress::{Event, Progress};
use super::spec::TrainingSpec;
use super::split::DataSplit;
use super::state::{Context, Model, TrainState, check_canceled};
use super::{budget, checkpoint, epoch, export, step, together};

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Step,
    EpochEnd,
    /// All epochs are done.
    Nothing,
}

/// What the loop is over.
pub(super) trait Steps {
    /// Set to stop it.
    fn canceled(&self) -> &AtomicBool;

    fn next(&self) -> Next;

    /// Makes a step. Returns whether the caller may act on something.
    fn step(&mut self) -> Result<bool, EngineError>;

    /// Ends an epoch. Returns the same.
    fn end_epoch(&mut self) -> Result<bool, EngineError>;
}

/// The loop: until about `limit` has passed, the caller may act on something, or all epochs are done.
pub(super) fn advance(training: &mut impl Steps, limit: Duration) -> Result<(), EngineError> {
    process::keep_to_threads();
    let started = Instant::now();
    loop {
        check_canceled(training.canceled())?;
        let happened = match training.next() {
            Next::Step => training.step()?,
            Next::EpochEnd => training.end_epoch()?,
            Next::Nothing => true,
        };
        if happened || started.elapsed() >= limit {
            return Ok(());
        }
    }
}

/// Trainings over one dataset: one, or several that step together (`together` says which can).
///
/// Those that are furthest behind make the next step: trainings that were resumed at different steps meet again.
pub struct TrainingLoop {
    context: Context,
    loader: Loader,
    states: Vec<TrainState>,
    /// None for one training by itself.
    maps: Option<ParameterMaps>,
    /// What happened to each in the last pass of the loop.
    events: Vec<Option<Event>>,
}

impl TrainingLoop {
    /// Binds trainings to the rows of this worker's dataset. All workers open theirs at the same time.
    ///
    /// # Errors
    /// A specification that does not fit the program or the rows; several trainings that cannot step together; a peer that is gone.
    pub fn open(
        dataset: &Arc<TrainingDataset>,
        ranks: &Arc<ProcessGroup>,
        specs: Vec<TrainingSpec>,
        canceled: Arc<AtomicBool>,
    ) -> Result<Self, EngineError> {
        process::keep_to_threads();
        let Some(first) = specs.first() else { return Err(EngineError::BadRequest("there is no training".into())) };
        together::check(&specs)?;
        let mapped = dataset.mapped()?;
        let models = specs.iter().map(|spec| Model::new(&mapped, spec)).collect::<Result<Vec<_>, _>>()?;
        let inputs = Arc::new(InputPipeline::new(first, &models[0].program, mapped.clone())?);
        for spec in &specs {
            budget::check_batch(spec, inputs.row_bytes(), inputs.batches_at_once(), mapped.rows.len())?;
        }
        let normalizes = models[0].program.normalizes();
        let split = Arc::new(DataSplit::new(&mapped, ranks, first, &models[0].loss, normalizes, &canceled)?);
        let epochs = specs.iter().map(|spec| spec.epochs).max().unwrap_or(0);
        let loader = Loader::new(inputs.clone(), split.clone(), epochs);
        let (maps, states) = ParameterMaps::open(specs, models, &split)?;
        let context = Context { dataset: mapped, _dataset: dataset.clone(), ranks: ranks.clone(), canceled, split, inputs };
        Ok(Self { events: vec![None; states.len()], context, loader, states, maps })
    }

    /// Trains for about `limit`, or until one of them needs the caller. Returns the state of each, in their order; one that has
    /// ended returns its end every time.
    ///
    /// # Errors
    /// See [`EngineError`]: a peer that is gone, a loss that is NaN or infinite, a cancellation. The first failure ends all.
    pub fn run(&mut self, limit: Duration) -> Result<Vec<Progress>, EngineError> {
        self.events.fill(None);
        advance(self, limit)?;
        let batches = self.context.split.batches;
        Ok(self.states.iter_mut().zip(&self.events).map(|(state, event)| state.report(batches, *event)).collect())
    }

    /// Writes a checkpoint of one of them.
    ///
    /// # Errors
    /// There is no training at this place, or a file cannot be written.
    pub fn save_checkpoint(&self, place: usize, file: &Path) -> Result<(), EngineError> {
        checkpoint::save(self.state(place)?, &self.context.split, file)
    }

    /// Continues one where the checkpoint was made. Changes nothing where that fails.
    ///
    /// # Errors
    /// A file that is damaged, or of another training: the differences are listed.
    pub fn restore_checkpoint(&mut self, place: usize, file: &Path) -> Result<(), EngineError> {
        let state = self.states.get_mut(place).ok_or_else(|| no_training(place))?;
        checkpoint::restore(state, &self.context.split, file)?;
        // The next batch belongs to another position.
        self.loader.drop_prefetched();
        Ok(())
    }

    /// Ends one after an epoch, as early stopping does. All workers do it after the same epoch.
    ///
    /// # Errors
    /// There is no training at this place, or libtorch fails.
    pub fn stop(&mut self, place: usize) -> Result<(), EngineError> {
        epoch::stop(self.states.get_mut(place).ok_or_else(|| no_training(place))?)
    }

    /// Writes the model package of one into `directory`, which must be new or empty, and gives its description.
    ///
    /// # Errors
    /// Labels that do not fit, a featurizer that does not fit the head, or files that cannot be written.
    pub fn save_package(&self, place: usize, directory: &Path, spec: &ExportSpec) -> Result<Description, EngineError> {
        export::save_package(self.state(place)?, directory, spec)
    }

    fn state(&self, place: usize) -> Result<&TrainState, EngineError> {
        self.states.get(place).ok_or_else(|| no_training(place))
    }

    /// The trainings that are furthest behind, of those that have not ended.
    fn due(&self) -> Vec<usize> {
        let position = |state: &TrainState| (state.position.epoch, state.position.step_in_epoch);
        let going: Vec<usize> = (0..self.states.len()).filter(|i| self.states[*i].ended().is_none()).collect();
        let last = going.iter().map(|i| position(&self.states[*i])).min();
        going.into_iter().filter(|i| Some(position(&self.states[*i])) == last).collect()
    }
}

fn no_training(place: usize) -> EngineError {
    EngineError::BadRequest(format!("there is no training {place}"))
}

impl Steps for TrainingLoop {
    fn canceled(&self) -> &AtomicBool {
        &self.context.canceled
    }

    fn next(&self) -> Next {
        match self.due().first() {
            None => Next::Nothing,
            Some(one) if self.states[*one].position.step_in_epoch >= self.context.split.batches => Next::EpochEnd,
            Some(_) => Next::Step,
        }
    }

    /// One step of those that are due: in one pass if they are more than half. The others have ended, or are ahead.
    fn step(&mut self) -> Result<bool, EngineError> {
        let (due, since) = (self.due(), Instant::now());
        let position = &self.states[due[0]].position;
        let batch = self.loader.batch(position.epoch, position.step_in_epoch)?;
        let waited = since.elapsed();
        match self.maps.as_ref().filter(|_| due.len() * 2 > self.states.len()) {
            Some(maps) => maps.step(&mut self.states, &self.context, &batch, &due)?,
            None => due.iter().try_for_each(|one| step::step(&mut self.states[*one], &self.context, &batch))?,
        }
        for &one in &due {
            let state = &mut self.states[one];
            state.timer.waited += waited;
            step::note_time(state, &self.context.ranks, since.elapsed());
            self.events[one] = state.checkpoint_due().then_some(Event::Checkpoint);
        }
        Ok(self.events.iter().any(Option::is_some))
    }

    fn end_epoch(&mut self) -> Result<bool, EngineError> {
        for one in self.due() {
            self.events[one] = Some(epoch::end(&mut self.states[one], &self.context)?);
        }
        Ok(true)
    }
}

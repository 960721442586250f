//! Runs the passes of one batch, with the help of spare cores ([`super::queue`]).
//!
//! Passes are cut so that none lasts long ([`crate::pace`]). A pass that fails is halved until the bad rows are found: those are
//! set aside with the program's message, the others keep their results. One bad row costs about `2 log2(rows)` more passes, a
//! whole batch of them at most twice its rows; a strict request stops at the first. Running out of memory never makes a row bad,
//! and neither does cancellation.
//!
//! If a program has not succeeded for any row, it may itself be wrong. Then the first, the middle and the last row are run alone.
//! If their outputs have the wrong shape, the package is bad. If the program raises for each of [`ENOUGH`] rows or more (whole
//! batches), the package is bad too; before that they count as bad rows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::collect::Collector;
use super::counters::{Counters, elapsed_ns};
use super::passes::{Pass, Plan};
use super::queue::{Outcome, PassQueue};
use crate::engine::Wanted;
use crate::prepare::Staged;
use crate::{EngineError, Model, RowError, spare};
use tch::Tensor;

/// If a program has failed for this many rows and succeeded for none, the program is wrong and not the rows.
const ENOUGH: usize = 32;

/// The results of a batch.
pub(super) struct Ran {
    /// One tensor per output, a row per valid row; values of failed rows are arbitrary.
    pub(super) outputs: Vec<Tensor>,
    /// Positions in the list of valid rows that made the program fail, in order, with the reason.
    pub(super) refused: Vec<(usize, RowError)>,
}

/// See the module.
pub(super) struct Runner<'a> {
    pub(super) model: &'a Model,
    pub(super) plan: &'a Plan,
    /// The outputs that the request reads.
    pub(super) wanted: Wanted,
    /// Whether failed rows are set aside; otherwise the first ends the batch.
    pub(super) null_on_error: bool,
    /// Rows that made this session's program fail, while it has not succeeded for any.
    pub(super) unanswered: &'a AtomicUsize,
    pub(super) counters: &'a mut Counters,
    pub(super) stop: &'a mut dyn FnMut() -> bool,
}

/// The results of the passes so far.
struct SoFar {
    collector: Collector,
    refused: Vec<(usize, RowError)>,
}

impl Runner<'_> {
    /// # Errors
    /// [`EngineError::BadInput`] for a failed row if the request is strict; its `row` is a position in the list of valid rows.
    pub(super) fn run(mut self, staged: &mut [Staged]) -> Result<Ran, EngineError> {
        let queue = PassQueue::new(self.model, self.plan, self.wanted, staged);
        let mut so_far = SoFar { collector: Collector::new(self.plan.items), refused: Vec::new() };
        while queue.len() > 0 {
            // A device is kept busy by one thread, and streams belong to threads.
            let helpers = if self.model.device().is_cuda() { 0 } else { queue.len() - 1 };
            spare::helped(
                helpers,
                |cores| queue.help(&cores),
                || {
                    let worked = self.work(&queue, &mut so_far);
                    if worked.is_err() {
                        queue.stop();
                    }
                    worked
                },
            )?;
            self.settle_all(&queue, &mut so_far)?;
        }
        let SoFar { collector, mut refused } = so_far;
        refused.sort_by_key(|(row, _)| *row);
        self.give_up_if_hopeless(&refused)?;
        let started = Instant::now();
        let outputs = collector.finish(self.plan.pooling.as_ref()).map_err(|error| EngineError::torch(self.model.name(), error))?;
        if self.model.device().is_cuda() {
            // It waited for the passes.
            self.counters.forward_ns += elapsed_ns(started);
        }
        Ok(Ran { outputs, refused })
    }

    /// Runs passes until none is waiting, and handles the outcomes of helpers meanwhile.
    fn work(&mut self, queue: &PassQueue<'_>, so_far: &mut SoFar) -> Result<(), EngineError> {
        loop {
            self.settle_all(queue, so_far)?;
            let Some(pass) = queue.next() else { return Ok(()) };
            let outcome = self.run_one(queue, pass)?;
            self.settle(queue, so_far, outcome)?;
        }
    }

    fn run_one(&mut self, queue: &PassQueue<'_>, pass: Pass) -> Result<Outcome, EngineError> {
        if (self.stop)() { Err(EngineError::Canceled) } else { Ok(queue.run(pass)) }
    }

    fn settle_all(&mut self, queue: &PassQueue<'_>, so_far: &mut SoFar) -> Result<(), EngineError> {
        queue.done().into_iter().try_for_each(|outcome| self.settle(queue, so_far, outcome))
    }

    /// Collects the results of a pass, or finds its bad rows.
    fn settle(&mut self, queue: &PassQueue<'_>, so_far: &mut SoFar, outcome: Outcome) -> Result<(), EngineError> {
        self.counters.add_pass(&outcome.cost);
        let Outcome { pass, outputs, .. } = outcome;
        let error = match outputs {
            Ok(outputs) => {
                let added = so_far.collector.add(&pass.output_indices, outputs);
                return added.map_err(|error| EngineError::torch(self.model.name(), error));
            }
            Err(error) if !is_refusal(&error) => return Err(error),
            Err(error) => error,
        };
        if pass.items.len() > 1 {
            let half = pass.items.len() / 2;
            let (first, rest) = pass.split(half, self.plan.lengths.as_deref());
            queue.push([rest.again(), first.again()]);
            return Ok(());
        }
        self.blame_program(queue, &pass, &error)?;
        let row = self.plan.row_of(pass.output_indices[0]);
        let error = RowError::ProgramFailed(cause_of(&error));
        if !self.null_on_error {
            return Err(EngineError::BadInput { row, input: String::new(), error });
        }
        if !so_far.refused.iter().any(|(known, _)| *known == row) {
            so_far.refused.push((row, error));
        }
        Ok(())
    }

    /// Fails with `error` if a program that has not succeeded so far gives the wrong shape for other rows too.
    fn blame_program(&mut self, queue: &PassQueue<'_>, pass: &Pass, error: &EngineError) -> Result<(), EngineError> {
        let is_shape = matches!(error, EngineError::BadModel { .. });
        if !is_shape || self.model.has_answered() {
            return Ok(());
        }
        let plan = self.plan;
        let others = [0, plan.items / 2, plan.items - 1].map(|output_index| plan.alone(output_index));
        for other in others.into_iter().flatten().filter(|other| other.output_indices != pass.output_indices) {
            let Outcome { outputs, cost, .. } = self.run_one(queue, other.again())?;
            self.counters.add_pass(&cost);
            match outputs {
                Ok(_) => return Ok(()),
                Err(other) if is_refusal(&other) => {}
                Err(other) => return Err(other),
            }
        }
        Err(EngineError::model(self.model.name(), cause_of(error)))
    }

    fn give_up_if_hopeless(&self, refused: &[(usize, RowError)]) -> Result<(), EngineError> {
        let Some((_, first)) = refused.first() else { return Ok(()) };
        if self.model.has_answered() {
            return Ok(());
        }
        let rows = self.unanswered.fetch_add(refused.len(), Ordering::Relaxed) + refused.len();
        if rows < ENOUGH {
            return Ok(());
        }
        Err(EngineError::model(self.model.name(), format!("each of the {rows} rows that it was given failed; the first: {first}")))
    }
}

/// Whether a row may be the cause of this error: the program raised, or its outputs are wrong.
fn is_refusal(error: &EngineError) -> bool {
    matches!(error.kind(), "torch" | "bad_model")
}

/// The program's message, without the model's name in front.
fn cause_of(error: &EngineError) -> String {
    match error {
        EngineError::BadModel { cause, .. } => cause.clone(),
        EngineError::Torch { error, .. } => error.to_string(),
        other => other.to_string(),
    }
}

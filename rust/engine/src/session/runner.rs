//! Runs the passes of one batch.
//!
//! Passes are cut so that none lasts long ([`super::pace`]). A pass that the program refuses is halved until the rows at fault
//! are known: those are set aside with the program's message, the others keep their results. One bad row costs about
//! `2 log2(rows)` more passes, a whole batch of them at most twice its rows; a strict request stops at the first. Running out of
//! memory is never a row's fault, nor is being told to stop.
//!
//! A program that has answered no row at all may itself be what is wrong. Then the first, the middle and the last row are asked
//! alone: where their outputs have the wrong shape, the package is bad. Where it raises for each of [`ENOUGH`] rows and more,
//! whole batches of them, the package is bad too; before that they count as bad rows.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use tch::Tensor;

use super::collect::Collector;
use super::counters::{Counters, elapsed_ns};
use super::passes::{Pass, Plan};
use crate::prepare::Staged;
use crate::{EngineError, Model, RowFault};

/// Rows that a program must have refused, and none answered, before it is to blame rather than they.
const ENOUGH: usize = 32;

/// What a batch gave.
pub(super) struct Ran {
    /// One tensor per output, a row per sound row; rows that were refused hold anything.
    pub(super) outputs: Vec<Tensor>,
    /// Positions in the list of sound rows that the program refused, in order, with why.
    pub(super) refused: Vec<(usize, RowFault)>,
}

/// See the module.
pub(super) struct Runner<'a> {
    pub(super) model: &'a Model,
    pub(super) staged: &'a [Staged],
    /// Whether refused rows are set aside; else the first ends the batch.
    pub(super) tolerant: bool,
    /// Rows that this session's program refused while it has answered none.
    pub(super) unanswered: &'a AtomicUsize,
    pub(super) counters: &'a mut Counters,
    pub(super) stop: &'a mut dyn FnMut() -> bool,
}

impl Runner<'_> {
    /// # Errors
    /// [`EngineError::BadInput`] for a refused row where the request is strict, its `row` a position in the list of sound rows.
    pub(super) fn run(mut self, plan: Plan) -> Result<Ran, EngineError> {
        let mut collector = Collector::new(plan.units);
        let mut refused: Vec<(usize, RowFault)> = Vec::new();
        let mut waiting: Vec<Pass> = plan.passes.iter().rev().cloned().collect();
        while let Some(pass) = waiting.pop() {
            let pass = self.cut(pass, &plan, &mut waiting);
            match self.forward(&pass) {
                Ok(outputs) => collector.add(&pass.places, outputs).map_err(|error| EngineError::torch(self.model.name(), error))?,
                Err(error) if !is_refusal(&error) => return Err(error),
                Err(_) if pass.units.len() > 1 => {
                    let half = pass.units.len() / 2;
                    let (first, rest) = pass.split(half, plan.lengths.as_deref());
                    waiting.extend([rest.again(), first.again()]);
                }
                Err(error) => {
                    self.blame_program(&pass, &plan, &error)?;
                    let row = plan.row_of(pass.places[0]);
                    let fault = RowFault::Refused(cause_of(&error));
                    if !self.tolerant {
                        return Err(EngineError::BadInput { row, input: String::new(), fault });
                    }
                    if !refused.iter().any(|(known, _)| *known == row) {
                        refused.push((row, fault));
                    }
                }
            }
        }
        refused.sort_by_key(|(row, _)| *row);
        self.give_up_if_hopeless(&refused)?;
        let outputs = collector.finish(plan.pooling.as_ref()).map_err(|error| EngineError::torch(self.model.name(), error))?;
        Ok(Ran { outputs, refused })
    }

    /// The pass, or its beginning where all of it would take too long; the rest waits.
    fn cut(&self, pass: Pass, plan: &Plan, waiting: &mut Vec<Pass>) -> Pass {
        let rows = pass.units.len();
        let parts = rows.div_ceil(self.model.pace.rows(pass.length));
        if parts <= 1 {
            return pass;
        }
        let (first, rest) = pass.split(rows.div_ceil(parts), plan.lengths.as_deref());
        waiting.push(rest);
        first
    }

    fn forward(&mut self, pass: &Pass) -> Result<Vec<Tensor>, EngineError> {
        if (self.stop)() {
            return Err(EngineError::Cancelled);
        }
        self.counters.passes_again += u64::from(pass.again);
        let rows = pass.units.len();
        let given = self.model.padded(rows);
        let mut inputs = Vec::new();
        let assembling = Instant::now();
        let padded = (given > rows).then(|| padded(&pass.units, given));
        let units = padded.as_deref().unwrap_or(&pass.units);
        for (preparer, staged) in self.model.preparers.iter().zip(self.staged) {
            inputs.extend(preparer.assemble(self.model.name(), &staged.rows, units, pass.length)?);
        }
        self.counters.prepare_ns += elapsed_ns(assembling);
        let started = Instant::now();
        let outputs = self.model.forward(&inputs, given, rows);
        self.counters.forward_ns += elapsed_ns(started);
        if outputs.is_ok() {
            self.model.pace.measured(self.model.name(), given, pass.length, started.elapsed());
            self.counters.forwards += 1;
        }
        outputs
    }

    /// Fails with `error` where a program that has answered nothing so far gives other rows the wrong shape too.
    fn blame_program(&mut self, pass: &Pass, plan: &Plan, error: &EngineError) -> Result<(), EngineError> {
        let is_shape = matches!(error, EngineError::BadModel { .. });
        if !is_shape || self.model.has_answered() {
            return Ok(());
        }
        for place in [0, plan.units / 2, plan.units - 1] {
            match plan.alone(place) {
                Some(other) if other.places != pass.places => match self.forward(&other.again()) {
                    Ok(_) => return Ok(()),
                    Err(other) if is_refusal(&other) => {}
                    Err(other) => return Err(other),
                },
                _ => {}
            }
        }
        Err(EngineError::model(self.model.name(), cause_of(error)))
    }

    fn give_up_if_hopeless(&self, refused: &[(usize, RowFault)]) -> Result<(), EngineError> {
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

/// The units, and the last one again until there are `rows`.
fn padded(units: &[usize], rows: usize) -> Vec<usize> {
    let last = units.last().copied().unwrap_or(0);
    units.iter().copied().chain(std::iter::repeat(last)).take(rows).collect()
}

/// Whether the program, or what it gave, may be a row's fault.
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

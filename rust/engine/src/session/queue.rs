//! The passes of one batch that wait, taken by the task's thread and by helpers on spare cores ([`crate::spare`]) alike.
//!
//! Helpers run passes and put their outcomes here. The task handles the outcomes ([`super::runner`]) and checks whether it was
//! killed. A helper can be late by at most one pass, which [`crate::pace`] keeps short.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tch::Tensor;

use super::counters::{Counters, elapsed_ns};
use super::passes::{Pass, Plan};
use crate::engine::Wanted;
use crate::pace::ThreadTime;
use crate::prepare::Staged;
use crate::spare::Cores;
use crate::{EngineError, Model};

/// A pass that was run.
pub(super) struct Outcome {
    pub(super) pass: Pass,
    pub(super) outputs: Result<Vec<Tensor>, EngineError>,
    pub(super) cost: Counters,
}

/// See the module.
pub(super) struct PassQueue<'a> {
    model: &'a Model,
    plan: &'a Plan,
    wanted: Wanted,
    /// tch's tensors are not Sync: one thread at a time may read them.
    staged: Mutex<&'a mut [Staged]>,
    /// The next is the last.
    waiting: Mutex<Vec<Pass>>,
    /// What helpers ran.
    done: Mutex<Vec<Outcome>>,
    stopped: AtomicBool,
}

impl<'a> PassQueue<'a> {
    pub(super) fn new(model: &'a Model, plan: &'a Plan, wanted: Wanted, staged: &'a mut [Staged]) -> Self {
        let waiting = plan.passes.iter().rev().cloned().collect();
        Self {
            model,
            plan,
            wanted,
            staged: Mutex::new(staged),
            waiting: Mutex::new(waiting),
            done: Mutex::default(),
            stopped: AtomicBool::new(false),
        }
    }

    pub(super) fn len(&self) -> usize {
        locked(&self.waiting).len()
    }

    /// These come next, the last of them first.
    pub(super) fn push(&self, passes: impl IntoIterator<Item = Pass>) {
        locked(&self.waiting).extend(passes);
    }

    /// The next pass; only its first part if the whole would take too long.
    pub(super) fn next(&self) -> Option<Pass> {
        let mut waiting = locked(&self.waiting);
        let pass = waiting.pop()?;
        let rows = pass.items.len();
        // A device computes passes of any size in a short time.
        let parts = if self.model.device().is_cuda() { 1 } else { rows.div_ceil(self.model.pace.rows(pass.length)) };
        if parts <= 1 {
            return Some(pass);
        }
        let (first, rest) = pass.split(rows.div_ceil(parts), self.plan.lengths.as_deref());
        waiting.push(rest);
        Some(first)
    }

    /// The outcomes of helpers since the last call.
    pub(super) fn done(&self) -> Vec<Outcome> {
        std::mem::take(&mut *locked(&self.done))
    }

    /// Helpers end after the pass that they run.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// A helper's work: runs passes until there are none left, they are not needed any more, or another task needs its cores.
    pub(super) fn help(&self, cores: &Cores) {
        while !self.stopped.load(Ordering::Relaxed) && !cores.is_wanted() {
            let Some(pass) = self.next() else { return };
            let outcome = self.run(pass);
            locked(&self.done).push(outcome);
        }
    }

    /// Runs one pass on the calling thread.
    pub(super) fn run(&self, pass: Pass) -> Outcome {
        let mut cost = Counters { passes_again: u64::from(pass.again), ..Counters::default() };
        let outputs = self.forward(&pass, &mut cost);
        Outcome { pass, outputs, cost }
    }

    fn forward(&self, pass: &Pass, cost: &mut Counters) -> Result<Vec<Tensor>, EngineError> {
        let rows = pass.items.len();
        let given = self.model.padded(rows);
        let started = Instant::now();
        let inputs = self.assemble(pass, given)?;
        cost.prepare_ns = elapsed_ns(started);
        let (started, computed) = (Instant::now(), ThreadTime::now());
        let outputs = self.model.forward(&inputs, given, rows, self.wanted);
        cost.forward_ns = elapsed_ns(started);
        if outputs.is_ok() {
            self.model.pace.measured(self.model.name(), given, pass.length, computed.elapsed());
            cost.forwards = 1;
        }
        outputs
    }

    /// The program's inputs for `given` rows: those of the pass, and copies of its last one.
    fn assemble(&self, pass: &Pass, given: usize) -> Result<Vec<Tensor>, EngineError> {
        let padded = (given > pass.items.len()).then(|| {
            let last = pass.items.last().copied().unwrap_or(0);
            pass.items.iter().copied().chain(std::iter::repeat(last)).take(given).collect::<Vec<_>>()
        });
        let items = padded.as_deref().unwrap_or(&pass.items);
        let mut inputs = Vec::new();
        for (preparer, staged) in self.model.preparers.iter().zip(locked(&self.staged).iter()) {
            inputs.extend(preparer.assemble(self.model.name(), &staged.rows, items, pass.length)?);
        }
        Ok(inputs)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! Validation rows through the program as it is.

use std::sync::atomic::{AtomicBool, Ordering};

use flambeau_engine::{EngineError, memory};
use tch::{Kind, Tensor};

use super::batch::Sources;
use super::feed::{Labels, Sealed};
use super::loss::{Loss, Target};
use super::metrics::{Metrics, Tally};
use super::program::Program;
use super::ranks::Ranks;

/// Maximum rows of one forward pass, and bytes of their inputs.
const DENSE_ROWS: usize = 4096;
const DECODED_ROWS: usize = 32;
const PASS_BYTES: u64 = 64 << 20;

/// The inputs of an evaluation.
pub(super) struct Evaluation<'a> {
    pub(super) feed: &'a Sealed,
    pub(super) sources: &'a Sources,
    pub(super) loss: &'a Loss,
    pub(super) ranks: &'a Ranks,
    pub(super) canceled: &'a AtomicBool,
}

impl Evaluation<'_> {
    /// Loss and metrics over `rows` of every worker; None if all weights are 0.
    pub(super) fn run(&self, program: &mut Program, rows: &[u32]) -> Result<Option<Metrics>, EngineError> {
        let mut tally = Tally::new(self.loss.kind, program.outputs, program.has_own_loss());
        let most = if self.sources.decodes() { DECODED_ROWS } else { DENSE_ROWS };
        let fitting = usize::try_from(PASS_BYTES / self.sources.row_bytes().max(1)).unwrap_or(most);
        let size = fitting.clamp(1, most);
        for chunk in rows.chunks(size) {
            if self.canceled.load(Ordering::Relaxed) {
                return Err(EngineError::Canceled);
            }
            let inputs = self.sources.tensors(chunk, None)?;
            let output = program.predict(&inputs)?;
            let torch = |error: tch::TchError| EngineError::torch(&program.name, error);
            let target = self.loss.target(&self.feed.rows.labels, self.feed.rows.weights.as_deref(), chunk).map_err(torch)?;
            let no_grad = tch::no_grad_guard();
            let sum = weighted_loss(program, self.loss, &output, &target, false)?;
            drop(no_grad);
            let sum = sum.f_double_value(&[]).map_err(|error| EngineError::torch(&program.name, error))?;
            tally.add_loss(sum, target.weight_sum);
            if program.has_own_loss() {
                tally.add_weight(target.weight_sum);
            } else {
                self.count(&mut tally, program, &output, chunk)?;
            }
        }
        tally.finish(self.ranks, self.canceled)
    }

    fn count(&self, tally: &mut Tally, program: &Program, output: &Tensor, rows: &[u32]) -> Result<(), EngineError> {
        let dense =
            output.f_to_kind(Kind::Double).and_then(|t| t.f_contiguous()).map_err(|error| EngineError::torch(&program.name, error))?;
        let values = memory::values::<f64>(&dense).ok_or_else(|| EngineError::Internal("an output is not dense".into()))?;
        let width = values.len() / rows.len().max(1);
        for (output, &row) in values.chunks(width.max(1)).zip(rows) {
            let row = row as usize;
            let weight = self.feed.rows.weights.as_ref().map_or(1.0, |w| w[row]);
            match &self.feed.rows.labels {
                Labels::Scalars(labels) if self.loss.is_classes() => tally.add_class(output, labels[row] as usize, weight),
                Labels::Scalars(labels) => tally.add_values(output, &[labels[row]], weight),
                Labels::Arrays(dense) => tally.add_values(output, &dense.numbers(row).collect::<Vec<_>>(), weight),
            }
        }
        Ok(())
    }
}

/// The weighted sum of rows' losses, by name or by the program's own method.
pub(super) fn weighted_loss(
    program: &mut Program,
    loss: &Loss,
    output: &Tensor,
    target: &Target,
    autograd: bool,
) -> Result<Tensor, EngineError> {
    let sum = match program.own_loss(output, &target.tensor, autograd) {
        None => loss.sum(output, target),
        Some(losses) => {
            let losses = losses?;
            match &target.weights {
                None => losses.f_sum(if losses.f_kind().is_ok_and(|kind| kind == Kind::Double) { Kind::Double } else { Kind::Float }),
                Some(weights) => weights.f_kind().and_then(|kind| losses.f_to_kind(kind)?.f_dot(weights)),
            }
        }
    };
    sum.map_err(|error| EngineError::torch(&program.name, error))
}

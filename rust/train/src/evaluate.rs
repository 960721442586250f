//! Validation rows through the program as it is.

use flambeau_engine::{EngineError, memory};
use tch::{Kind, TchError, Tensor};

use super::dataset::{Labels, RowColumns};
use super::inputs::InputPipeline;
use super::loss::{self, Loss, Target};
use super::metrics::{MetricAccumulator, Metrics};
use super::program::{Outputs, Program};
use super::spec::LossKind;
use super::state::{Context, TrainState};

/// Maximum rows of one forward pass, and bytes of their inputs.
const DENSE_ROWS: usize = 4096;
const DECODED_ROWS: usize = 32;
const PASS_BYTES: u64 = 64 << 20;

/// Loss and metrics over the validation rows of every worker; None if all weights are 0.
pub(super) fn evaluate(state: &mut TrainState, context: &Context) -> Result<Option<Metrics>, EngineError> {
    let mut metrics =
        MetricAccumulator::new(state.loss.kind, state.program.outputs, state.program.has_own_loss(), &state.spec.program.metric_methods);
    let columns = &context.dataset.rows;
    for chunk in context.split.validation.chunks(rows_of_a_pass(state, &context.inputs)) {
        context.check_canceled()?;
        let inputs = context.inputs.tensors(chunk, None)?;
        let outputs = predict(state, &inputs)?;
        let target = state.loss.target(&columns.labels, columns.weights.as_deref(), chunk);
        let target = target.map_err(|error| EngineError::torch(&state.program.name, error))?;
        let no_grad = tch::no_grad_guard();
        let sum = weighted_loss(&mut state.program, &state.loss, &outputs, &target, false)?;
        let own = state.program.own_metrics(&outputs, &target.tensor)?;
        drop(no_grad);
        let sum = sum.f_double_value(&[]).map_err(|error| EngineError::torch(&state.program.name, error))?;
        metrics.add_loss(sum, target.weight_sum);
        for (name, numbers) in own {
            let numbers = Vec::<f64>::try_from(numbers).map_err(|error| EngineError::torch(&state.program.name, error))?;
            metrics.add_own(&name, numbers.into_iter().zip(chunk).map(|(number, row)| (number, columns.weight(*row))));
        }
        if state.program.has_own_loss() {
            metrics.add_weight(target.weight_sum);
        } else {
            count(&mut metrics, state, columns, &outputs.read, chunk)?;
        }
    }
    metrics.finish(&context.ranks, &context.canceled)
}

fn rows_of_a_pass(state: &TrainState, inputs: &InputPipeline) -> usize {
    if state.loss.kind == LossKind::Contrastive {
        // A row's loss depends on the others of its pass: as many as in training.
        return state.spec.batch_rows;
    }
    let most = if inputs.decodes() { DECODED_ROWS } else { DENSE_ROWS };
    let fitting = usize::try_from(PASS_BYTES / inputs.row_bytes().max(1)).unwrap_or(most);
    fitting.clamp(1, most)
}

/// The outputs, as in inference.
fn predict(state: &mut TrainState, inputs: &[Tensor]) -> Result<Outputs, EngineError> {
    match &state.head {
        Some(head) => head.predict(&inputs[0]).map(Outputs::one).map_err(|error| EngineError::torch(&state.program.name, error)),
        None => state.program.predict(inputs),
    }
}

fn count(
    metrics: &mut MetricAccumulator,
    state: &TrainState,
    columns: &RowColumns,
    output: &Tensor,
    rows: &[u32],
) -> Result<(), EngineError> {
    if state.loss.kind == LossKind::Contrastive {
        return count_pairs(metrics, columns, output, rows).map_err(|error| EngineError::torch(&state.program.name, error));
    }
    let dense = output.f_to_kind(Kind::Double).and_then(|t| t.f_contiguous());
    let dense = dense.map_err(|error| EngineError::torch(&state.program.name, error))?;
    let values = memory::values::<f64>(&dense).ok_or_else(|| EngineError::Internal("an output is not dense".into()))?;
    let width = values.len() / rows.len().max(1);
    for (output, &row) in values.chunks(width.max(1)).zip(rows) {
        let (row, weight) = (row as usize, columns.weight(row));
        match &columns.labels {
            Labels::Scalars(labels) if state.loss.is_classes() => metrics.add_class(output, labels[row] as usize, weight),
            Labels::Scalars(labels) => metrics.add_values(output, &[labels[row]], weight),
            Labels::Arrays(dense) => metrics.add_values(output, &dense.numbers(row).collect::<Vec<_>>(), weight),
        }
    }
    Ok(())
}

/// A row is right if no other row's partner is as similar to it as its own.
fn count_pairs(metrics: &mut MetricAccumulator, columns: &RowColumns, output: &Tensor, rows: &[u32]) -> Result<(), TchError> {
    let best = loss::similarities(&output.f_to_kind(Kind::Float)?)?.f_argmax(1, false)?;
    for ((own, best), row) in Vec::<i64>::try_from(best)?.into_iter().enumerate().zip(rows) {
        metrics.add_pair(usize::try_from(best) == Ok(own), columns.weight(*row));
    }
    Ok(())
}

/// The weighted sum of rows' losses, by name or by the program's own method.
pub(super) fn weighted_loss(
    program: &mut Program,
    loss: &Loss,
    outputs: &Outputs,
    target: &Target,
    autograd: bool,
) -> Result<Tensor, EngineError> {
    let sum = match program.own_loss(outputs, &target.tensor, autograd) {
        None => loss.sum(&outputs.read, target),
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

//! A step of one training: forward and backward over this worker's part of a batch, a sum over the workers, the optimizer.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use flambeau_engine::EngineError;
use tch::Tensor;

use super::batched_heads::Features;
use super::evaluate::weighted_loss;
use super::flat_params::SUMMING;
use super::head::DropoutKey;
use super::loader::Batch;
use super::loss_gradient::{LossRows, SharedRows};
use super::process_group::ProcessGroup;
use super::state::{Context, TrainState};

/// Ids that a message names.
const NAMED_IDS: usize = 20;

/// One step on this batch.
pub(super) fn step(state: &mut TrainState, context: &Context, batch: &Batch) -> Result<(), EngineError> {
    state.params.zero_grad()?;
    let (loss, weight) = forward_backward(state, context, batch)?;
    let (loss, weight) = all_reduce(state, context, loss, weight)?;
    apply_gradients(state, context, batch, (loss, weight), weight)
}

/// Back-propagates this worker's part. Returns the sums of its losses and weights.
fn forward_backward(state: &mut TrainState, context: &Context, batch: &Batch) -> Result<(f64, f64), EngineError> {
    let rows = &batch.part.rows;
    let micro = state.spec.micro_batch_rows.unwrap_or(rows.len()).max(1);
    let (mut loss_sum, mut weight_sum) = (0.0, 0.0);
    for (i, chunk) in rows.chunks(micro).enumerate() {
        context.check_canceled()?;
        let (first, count) = ((i * micro) as i64, chunk.len() as i64);
        let narrowed: Vec<Tensor>;
        let inputs = if chunk.len() == rows.len() {
            &batch.inputs
        } else {
            let narrow = |t: &Tensor| t.f_narrow(0, first, count);
            narrowed = batch.inputs.iter().map(narrow).collect::<Result<_, _>>().map_err(|e| EngineError::torch(&state.program.name, e))?;
            &narrowed
        };
        let positions = &batch.part.positions[i * micro..i * micro + chunk.len()];
        let key = DropoutKey { seed: state.spec.seed, step: state.position.step, positions };
        let (loss, weight) = match &state.head {
            Some(head) => {
                let shared = SharedRows { loss: &state.loss, columns: &context.dataset.rows, rows: chunk, means: false };
                let features = Features::Shared(&inputs[0]);
                let found = head.forward_backward(&features, &LossRows::Shared(shared), Some(&key), i > 0);
                let (losses, weight) = found.map_err(|error| EngineError::torch(&state.program.name, error))?;
                (losses.iter().sum(), weight)
            }
            None => by_autograd(state, context, inputs, chunk, &key)?,
        };
        loss_sum += loss;
        weight_sum += weight;
    }
    Ok((loss_sum, weight_sum))
}

/// The same for a program's own operators.
fn by_autograd(
    state: &mut TrainState,
    context: &Context,
    inputs: &[Tensor],
    rows: &[u32],
    key: &DropoutKey<'_>,
) -> Result<(f64, f64), EngineError> {
    let columns = &context.dataset.rows;
    let target = state.loss.target(&columns.labels, columns.weights.as_deref(), rows);
    let target = target.map_err(|error| EngineError::torch(&state.program.name, error))?;
    let outputs = state.program.forward(inputs, key, context.ranks.rank)?;
    let loss = weighted_loss(&mut state.program, &state.loss, &outputs, &target, true)?;
    let torch = |error: tch::TchError| EngineError::torch(&state.program.name, error);
    loss.f_backward().map_err(torch)?;
    Ok((loss.f_double_value(&[]).map_err(torch)?, target.weight_sum))
}

/// Adds up gradients, losses and weights over all workers. Returns the sums of losses and of weights.
fn all_reduce(state: &mut TrainState, context: &Context, loss: f64, weight: f64) -> Result<(f64, f64), EngineError> {
    if context.ranks.world == 1 {
        return Ok((loss, weight));
    }
    state.params.put_sums(loss, weight)?;
    state.timer.summed += timed_sum(&context.ranks, &state.params.flat.gradients, &context.canceled)?;
    state.params.sums()
}

/// Adds up gradients over all workers. Returns how long that took.
pub(super) fn timed_sum(ranks: &ProcessGroup, gradients: &Tensor, canceled: &AtomicBool) -> Result<Duration, EngineError> {
    let since = Instant::now();
    ranks.sum(&[gradients], SUMMING, canceled)?;
    Ok(since.elapsed())
}

/// The second half of a step: with the gradients of all workers added up, and their sums of losses and of weights.
/// `divisor`: turns the gradients into means.
pub(super) fn apply_gradients(
    state: &mut TrainState,
    context: &Context,
    batch: &Batch,
    (loss, weight): (f64, f64),
    divisor: f64,
) -> Result<(), EngineError> {
    let lr = state.schedule.at(state.position.step);
    if !loss.is_finite() {
        return Err(diverged(state, context, batch, loss, lr));
    }
    if weight > 0.0 {
        state.params.step(divisor, lr)?;
    }
    let position = &mut state.position;
    position.loss += loss;
    position.weight += weight;
    position.samples += batch.part.global_rows as u64;
    position.lr = lr;
    position.step += 1;
    position.step_in_epoch += 1;
    Ok(())
}

/// Records the duration of a step.
pub(super) fn note_time(state: &mut TrainState, ranks: &ProcessGroup, took: Duration) {
    state.position.seconds += took.as_secs_f64();
    state.timer.note(took);
    if ranks.rank == 0
        && let Some(advice) = state.timer.advice(ranks.world, state.spec.batch_rows)
    {
        log::warn!("{}: {advice}", state.program.name);
    }
}

/// Steps and epochs are counted from 1, as in the history that users see.
fn diverged(state: &TrainState, context: &Context, batch: &Batch, loss: f64, lr: f64) -> EngineError {
    let ids: Vec<i64> = batch.part.rows.iter().take(NAMED_IDS).map(|row| context.dataset.rows.id(*row as usize)).collect();
    let more = if batch.part.rows.len() > NAMED_IDS { ", …" } else { "" };
    let ids = ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    EngineError::Diverged(format!(
        "the loss is {loss} at step {} (epoch {}, learning rate {lr}) of '{}'; rows of this worker's part of the batch have the ids {ids}{more}. \
         Lower learningRate, set clipNorm, or look for extreme values in these rows",
        state.position.step + 1,
        state.position.epoch + 1,
        state.program.name
    ))
}

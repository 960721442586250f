//! The end of an epoch: running statistics, validation rows, the best epoch so far, and whether to continue.

use std::time::Instant;

use flambeau_engine::EngineError;
use tch::{Kind, Tensor};

use super::evaluate::evaluate;
use super::metrics::Metrics;
use super::progress::{EpochRow, Event};
use super::spec::MetricName;
use super::state::{Best, Context, TrainState};

/// Ends an epoch, on all workers at the same time.
pub(super) fn end(state: &mut TrainState, context: &Context) -> Result<Event, EngineError> {
    let since = Instant::now();
    average_statistics(state, context)?;
    // The average of the parameters, if there is one, is what is validated, compared and kept.
    state.params.swap_average()?;
    let found = if context.split.has_validation { evaluate(state, context)? } else { None };
    let epoch = state.position.epoch;
    let stop = update_best(state, context, found.as_ref())?;
    state.params.swap_average()?;
    let position = &mut state.position;
    position.seconds += since.elapsed().as_secs_f64();
    let row = EpochRow {
        epoch,
        train_loss: (position.weight > 0.0).then(|| position.loss / position.weight),
        validation_loss: found.as_ref().map(|f| f.loss),
        metrics: found.map(|f| f.metrics).unwrap_or_default(),
        lr: position.lr,
        samples: position.samples,
        seconds: position.seconds,
        waited_seconds: std::mem::take(&mut state.timer.waited).as_secs_f64(),
    };
    state.schedule.note(&row, &state.spec.validation);
    position.history.push(row);
    position.epoch += 1;
    position.step_in_epoch = 0;
    (position.loss, position.weight, position.samples, position.seconds) = (0.0, 0.0, 0, 0.0);
    let done = position.epoch >= state.spec.epochs;
    position.stopped = stop && !done;
    if done || stop {
        take_result(state)?;
    }
    Ok(match (done, stop) {
        (true, _) => Event::Done,
        (_, true) => Event::StoppedEarly,
        _ if state.spec.checkpoint_epochs.is_some_and(|every| state.position.epoch.is_multiple_of(every)) => Event::Checkpoint,
        _ => Event::Epoch,
    })
}

/// Records the best epoch so far; returns whether to stop.
fn update_best(state: &mut TrainState, context: &Context, found: Option<&Metrics>) -> Result<bool, EngineError> {
    let Some(found) = found else { return Ok(false) };
    let metric = state.spec.validation.metric;
    let value = match metric {
        MetricName::Loss => found.loss,
        _ => *found.metrics.get(metric.key()).ok_or_else(|| {
            let known: Vec<_> = found.metrics.keys().map(String::as_str).collect();
            let text = format!("there is no metric '{}' of this training's outputs; there are loss, {}", metric.key(), known.join(", "));
            EngineError::BadRequest(text)
        })?,
    };
    let best = state.position.best.map_or(f64::INFINITY, |best| metric.cost(best));
    if state.spec.validation.improves(metric.cost(value), best) {
        state.position.best = Some(value);
        state.position.best_epoch = state.position.epoch;
        if context.split.has_validation && state.spec.validation.restore_best {
            state.best = Some(copy(state)?);
        }
    }
    let waited = state.position.epoch - state.position.best_epoch;
    Ok(state.spec.validation.patience.is_some_and(|patience| waited >= patience.max(1)))
}

fn copy(state: &TrainState) -> Result<Best, EngineError> {
    let torch = |error: tch::TchError| EngineError::torch(&state.program.name, error);
    let values = state.params.flat.values.f_detach_copy().map_err(torch)?;
    let buffers = state.program.buffers.iter().map(|(_, t)| t.f_detach_copy()).collect::<Result<_, _>>().map_err(torch)?;
    Ok(Best { values, buffers })
}

/// Ends a training after an epoch: nothing is left to do for it.
pub(super) fn stop(state: &mut TrainState) -> Result<(), EngineError> {
    if state.ended().is_some() {
        return Ok(());
    }
    state.position.stopped = true;
    take_result(state)
}

/// Makes the result the parameters: those of the best epoch, or the last ones, or their average.
fn take_result(state: &mut TrainState) -> Result<(), EngineError> {
    let Some(best) = state.best.take() else { return state.params.swap_average() };
    let taken = put_back(state, &best.values, &best.buffers);
    state.best = Some(best);
    taken
}

/// Makes these the parameters and the program's buffers.
pub(super) fn put_back(state: &mut TrainState, values: &Tensor, buffers: &[Tensor]) -> Result<(), EngineError> {
    let torch = |error: tch::TchError| EngineError::torch(&state.program.name, error);
    let _no_grad = tch::no_grad_guard();
    state.params.flat.values.f_copy_(values).map_err(torch)?;
    for ((_, buffer), kept) in state.program.buffers.iter_mut().zip(buffers) {
        buffer.f_copy_(kept).map_err(|error| EngineError::torch(&state.program.name, error))?;
    }
    Ok(())
}

/// Averages running statistics over the workers, weighted by their number of rows.
fn average_statistics(state: &TrainState, context: &Context) -> Result<(), EngineError> {
    if context.ranks.world == 1 {
        return Ok(());
    }
    let is_statistic = |name: &str| name.ends_with("running_mean") || name.ends_with("running_var");
    let own: Vec<&Tensor> = state
        .program
        .buffers
        .iter()
        .filter(|(name, t)| is_statistic(name) && t.f_kind().is_ok_and(|kind| kind == Kind::Float))
        .map(|(_, t)| t)
        .collect();
    if own.is_empty() {
        return Ok(());
    }
    let torch = |error: tch::TchError| EngineError::torch(&state.program.name, error);
    let flat = |t: &&Tensor| t.f_reshape([-1]);
    let mut parts = own.iter().map(flat).collect::<Result<Vec<_>, _>>().map_err(torch)?;
    parts.push(Tensor::f_from_slice(&[1.0_f32]).map_err(torch)?);
    let sums = Tensor::f_cat(&parts, 0).and_then(|t| t.f_mul_scalar(context.split.own_rows as f64)).map_err(torch)?;
    context.ranks.sum(&[&sums], "averaging running statistics", &context.canceled)?;
    let _no_grad = tch::no_grad_guard();
    let average = || {
        let total = sums.f_narrow(0, sums.size()[0] - 1, 1)?.f_double_value(&[0])?;
        let mut at = 0;
        for statistic in own {
            let length = statistic.size().iter().product::<i64>();
            let mean = sums.f_narrow(0, at, length)?.f_div_scalar(total.max(1.0))?.f_view_as(statistic)?;
            statistic.shallow_clone().f_copy_(&mean)?;
            at += length;
        }
        Ok(())
    };
    average().map_err(torch)
}

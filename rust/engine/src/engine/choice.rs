//! Which engine a model runs on, if the user does not choose: the fastest of the engines whose outputs match TorchScript's. It
//! runs them on generated rows of the shape that passes have. It takes a fraction of a second for a usual model and is done once
//! for a package, precision and kind of machine ([`kept`]).

use std::time::{Duration, Instant};

use flambeau_torch_ext::{Outputs, ScriptModule, TorchError};
use tch::{Kind, Tensor};

use super::fused::FusedEngine;
use super::torchscript::TorchscriptEngine;
use super::{Engine, EngineName, kept, shapes};
use crate::Package;
use crate::pace::IMAGE_PASS_ROWS;
use crate::package::Variant;
use crate::prepare::Preparer;

/// Least cosine of an engine's outputs with TorchScript's, at f32 and at a reduced precision.
const LEAST_COSINE: (f64, f64) = (0.99999, 0.999);

/// An engine is only used instead of TorchScript if it saves this share of the time: its results differ in some bits.
const WORTH_IT: f64 = 0.03;

/// Longest time that an engine is timed for, unless a single pass takes longer.
const TIMED: Duration = Duration::from_millis(250);

/// Rows of a pass that takes longer than this are too many to try engines with.
const LONG_PASS: Duration = Duration::from_millis(250);

/// The fused engine, or TorchScript if it cannot run the program; then that is logged.
pub(super) fn fused_or(script: ScriptModule, model: &str) -> Box<dyn Engine> {
    match FusedEngine::new(&script) {
        Ok(fused) => Box::new(fused),
        Err(cause) => {
            log::warn!("model '{model}' runs with the engine torchscript, not with fused: {cause}");
            Box::new(TorchscriptEngine::new(script))
        }
    }
}

/// See the module.
pub(super) fn fastest(package: &Package, variant: &Variant, script: ScriptModule, preparers: &[Preparer]) -> Box<dyn Engine> {
    let model = &package.descriptor.name;
    let place = kept::Place::of(package, variant);
    match place.read() {
        Some(EngineName::Torchscript) => return Box::new(TorchscriptEngine::new(script)),
        Some(EngineName::Fused) => return fused_or(script, model),
        None => {}
    }
    let least = if variant.precision == "f32" { LEAST_COSINE.0 } else { LEAST_COSINE.1 };
    let plain = TorchscriptEngine::new(script);
    let (chosen, why): (Box<dyn Engine>, String) = match compared(&plain, preparers, least) {
        Ok((fused, why)) => (Box::new(fused), why),
        Err(why) => (Box::new(plain), why),
    };
    log::info!("model '{model}' ({}) runs with the engine {}: {why}", variant.file, chosen.name());
    place.write(chosen.name(), &why);
    chosen
}

/// The fused engine if its outputs match and it is faster, otherwise the reason.
fn compared(plain: &TorchscriptEngine, preparers: &[Preparer], least: f64) -> Result<(FusedEngine, String), String> {
    let fused = FusedEngine::new(plain.module()).map_err(|cause| format!("fused cannot run it ({cause})"))?;
    let mut inputs = shapes::sample(preparers, 1)?;
    let (expected, mut plain_took) = run(plain, &inputs).map_err(|cause| format!("it fails on a generated row ({cause})"))?;
    let mut rows = 1;
    if plain_took * (IMAGE_PASS_ROWS as u32) < LONG_PASS {
        rows = IMAGE_PASS_ROWS;
        inputs = shapes::sample(preparers, rows)?;
    }
    let expected = if rows == 1 { expected } else { run(plain, &inputs).map_err(|cause| cause.to_string())?.0 };
    if shapes::are_planned(&fused, preparers) {
        fused.plan(&inputs).map_err(|cause| format!("fused cannot run it ({cause})"))?;
    }
    let given = fused.forward(&inputs).map_err(|cause| format!("fused cannot run it ({cause})"))?;
    let cosine = least_cosine(&expected, &given).ok_or("fused gives outputs of another shape")?;
    if cosine < least {
        return Err(format!("the outputs of fused have cosine {cosine:.6} with its outputs, below {least}"));
    }
    plain_took = timed(plain, &inputs).map_err(|cause| cause.to_string())?;
    let fused_took = timed(&fused, &inputs).map_err(|cause| cause.to_string())?;
    let speeds = format!(
        "{rows} rows take {:.1} ms, {:.1} ms with torchscript; cosine {cosine:.7}",
        fused_took.as_secs_f64() * 1e3,
        plain_took.as_secs_f64() * 1e3
    );
    if fused_took.as_secs_f64() > plain_took.as_secs_f64() * (1.0 - WORTH_IT) {
        return Err(format!("fused is no faster ({speeds})"));
    }
    Ok((fused, speeds))
}

fn run(engine: &dyn Engine, inputs: &[Tensor]) -> Result<(Outputs, Duration), TorchError> {
    let started = Instant::now();
    let outputs = engine.forward(inputs)?;
    Ok((outputs, started.elapsed()))
}

/// The shortest time of a few passes; the engine has run before.
fn timed(engine: &dyn Engine, inputs: &[Tensor]) -> Result<Duration, TorchError> {
    let begun = Instant::now();
    let mut best = Duration::MAX;
    for _ in 0..5 {
        best = best.min(run(engine, inputs)?.1);
        if begun.elapsed() > TIMED {
            break;
        }
    }
    Ok(best)
}

/// The least cosine of two engines' outputs, output by output; `None` if shapes differ, or whole numbers do.
fn least_cosine(expected: &Outputs, given: &Outputs) -> Option<f64> {
    let mut least = 1.0_f64;
    if expected.tensors.len() != given.tensors.len() || expected.names != given.names {
        return None;
    }
    for (a, b) in expected.tensors.iter().zip(&given.tensors) {
        let kind = a.f_kind().ok()?;
        if a.size() != b.size() || b.f_kind().ok()? != kind {
            return None;
        }
        if !matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16) {
            if !a.f_equal(b).ok()? {
                return None;
            }
            continue;
        }
        least = least.min(cosine(a, b)?);
    }
    Some(least)
}

fn cosine(a: &Tensor, b: &Tensor) -> Option<f64> {
    let flat = |tensor: &Tensor| tensor.f_to_kind(Kind::Double).and_then(|tensor| tensor.f_flatten(0, -1)).ok();
    let (a, b) = (flat(a)?, flat(b)?);
    let dot = |x: &Tensor, y: &Tensor| x.f_dot(y).and_then(|product| product.f_double_value(&[])).ok();
    let (both, of_a, of_b) = (dot(&a, &b)?, dot(&a, &a)?, dot(&b, &b)?);
    let norms = (of_a * of_b).sqrt();
    // Outputs of zeros have no direction: they are equal or not.
    if norms > 0.0 { Some(both / norms) } else { (of_a == of_b).then_some(1.0) }
}

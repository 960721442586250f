//! Which engine a model runs on, if the user does not choose: the fastest of the engines whose outputs match TorchScript's. It
//! runs them on generated rows of the shape that passes have. It takes a fraction of a second for a usual model, and three passes of
//! one row for a heavy one. It is done once for a package, precision and kind of machine ([`kept`]).

use std::time::{Duration, Instant};

use flambeau_torch_ext::{Outputs, ScriptModule, TorchError};
use tch::{Kind, Tensor};

use super::aot::AotEngine;
use super::fused::FusedEngine;
use super::torchscript::TorchscriptEngine;
use super::{Engine, EngineName, Opened, Wanted, kept, script, shapes};
use crate::pace::IMAGE_PASS_ROWS;
use crate::package::Variant;
use crate::prepare::Preparer;
use crate::{EngineError, Package};

/// Least cosine of an engine's outputs with TorchScript's, at f32 and at a reduced precision.
const LEAST_COSINE: (f64, f64) = (0.99999, 0.999);

/// An engine is only used instead of TorchScript if it saves this share of the time: its results differ in some bits.
const WORTH_IT: f64 = 0.03;

/// Longest time that an engine is timed for, unless a single pass takes longer.
const TIMED: Duration = Duration::from_millis(250);

/// A trial with more rows than one is shorter than this, and a longer pass is run once by each engine. So a choice takes less than
/// two seconds for models with up to half a second a row, once for a machine.
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

/// The fastest engine for `variant`, and the variant that it runs: that one, or `compiled`, which is the same compiled ahead of time.
pub(super) fn fastest<'a>(
    package: &'a Package,
    variant: &'a Variant,
    compiled: Option<&'a Variant>,
    preparers: &[Preparer],
) -> Result<Opened<'a>, EngineError> {
    let model = &package.descriptor.name;
    let kept = kept::ChoiceFile::of(package, variant, compiled);
    match (kept.read(), compiled) {
        (Some(EngineName::Torchscript), _) => return Ok((Box::new(TorchscriptEngine::new(script(package, variant)?)), variant)),
        (Some(EngineName::Fused), _) => return Ok((fused_or(script(package, variant)?, model), variant)),
        (Some(EngineName::Aot), Some(compiled)) => {
            if let Ok(aot) = AotEngine::load(&package.program(compiled)?, compiled) {
                return Ok((Box::new(aot), compiled));
            }
        }
        _ => {}
    }
    let plain = TorchscriptEngine::new(script(package, variant)?);
    let fused = FusedEngine::new(plain.module()).map(boxed).map_err(|cause| cause.to_string());
    let mut others = vec![(EngineName::Fused, variant, fused)];
    if let Some(compiled) = compiled {
        others.push((EngineName::Aot, compiled, AotEngine::load(&package.program(compiled)?, compiled).map(boxed)));
    }
    let least = if variant.precision == "f32" { LEAST_COSINE.0 } else { LEAST_COSINE.1 };
    let ((engine, file), why) = match Trial::of(&plain, preparers) {
        Ok(trial) => trial.best(boxed(plain), variant, others, least),
        Err(cause) => ((boxed(plain), variant), format!("it fails on generated rows ({cause})")),
    };
    log::info!("model '{model}' ({}) runs with the engine {}: {why}", file.file, engine.name());
    kept.write(engine.name(), &why);
    Ok((engine, file))
}

fn boxed(engine: impl Engine + 'static) -> Box<dyn Engine> {
    Box::new(engine)
}

/// Another engine for a model: its name, the variant that it runs, and the engine or the reason that there is none.
type Other<'a> = (EngineName, &'a Variant, Result<Box<dyn Engine>, String>);

/// Generated rows, and what TorchScript gives for them.
struct Trial<'a> {
    preparers: &'a [Preparer],
    inputs: Vec<Tensor>,
    expected: Outputs,
    /// Time of TorchScript's pass.
    took: Duration,
    /// A pass takes so long that each engine runs one.
    long: bool,
}

impl<'a> Trial<'a> {
    /// As many rows as a pass of images has, or one if that takes long.
    fn of(plain: &TorchscriptEngine, preparers: &'a [Preparer]) -> Result<Self, String> {
        let told = |cause: TorchError| cause.to_string();
        let inputs = shapes::sample(preparers, 1)?;
        let (expected, took) = run(plain, &inputs).map_err(told)?;
        if took * (IMAGE_PASS_ROWS as u32) >= LONG_PASS {
            let long = took >= LONG_PASS;
            let took = if long { took } else { timed(plain, &inputs).map_err(told)? };
            return Ok(Self { preparers, inputs, expected, took, long });
        }
        let inputs = shapes::sample(preparers, IMAGE_PASS_ROWS)?;
        let expected = plain.forward(&inputs, Wanted::ALL).map_err(told)?;
        let took = timed(plain, &inputs).map_err(told)?;
        Ok(Self { preparers, inputs, expected, took, long: false })
    }

    /// The fastest of `plain` and the others whose outputs match, and what each took.
    fn best<'v>(self, plain: Box<dyn Engine>, variant: &'v Variant, others: Vec<Other<'v>>, least: f64) -> (Opened<'v>, String) {
        let mut notes = vec![format!("a pass of torchscript takes {:.1} ms", milliseconds(self.took))];
        let (mut best, mut shortest) = ((plain, variant), self.took);
        for (name, file, engine) in others {
            match engine.and_then(|engine| self.measured(engine.as_ref(), least).map(|measured| (engine, measured))) {
                Ok((engine, (took, cosine))) => {
                    notes.push(format!("{name} {:.1} ms with cosine {cosine:.7}", milliseconds(took)));
                    if took.as_secs_f64() < shortest.as_secs_f64() * (1.0 - WORTH_IT) {
                        (best, shortest) = ((engine, file), took);
                    }
                }
                Err(why) => notes.push(format!("{name} is not used: {why}")),
            }
        }
        (best, notes.join("; "))
    }

    /// Time and cosine of an engine, if its outputs match.
    fn measured(&self, engine: &dyn Engine, least: f64) -> Result<(Duration, f64), String> {
        let told = |cause: TorchError| cause.to_string();
        if shapes::are_planned(engine, self.preparers) {
            engine.plan(&self.inputs).map_err(told)?;
        }
        let (given, took) = run(engine, &self.inputs).map_err(told)?;
        let cosine = least_cosine(&self.expected, &given).ok_or("its outputs have another shape")?;
        if cosine < least {
            return Err(format!("its outputs have cosine {cosine:.6} with those of torchscript, below {least}"));
        }
        Ok((if self.long { took } else { timed(engine, &self.inputs).map_err(told)? }, cosine))
    }
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn run(engine: &dyn Engine, inputs: &[Tensor]) -> Result<(Outputs, Duration), TorchError> {
    let started = Instant::now();
    let outputs = engine.forward(inputs, Wanted::ALL)?;
    Ok((outputs, started.elapsed()))
}

/// The shortest of a few passes; the engine ran before.
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
    // Compiled code has no names for its outputs, which are in the package's order.
    let other_names = given.names.is_some() && expected.names != given.names;
    if expected.tensors.len() != given.tensors.len() || other_names {
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

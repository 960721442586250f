//! A loaded model: a package and its program, shared by every session of the process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use flambeau_torch_ext::{Device, Outputs};
use serde::Serialize;
use tch::{Kind, Tensor};

use crate::engine::{self, Engine, EngineName, PassShapes, Wanted};
use crate::pace::{IMAGE_PASS_ROWS, Pace};
use crate::package::{Dtype, Output};
use crate::prepare::Preparer;
use crate::{EngineError, ModelOptions, Package, memory, stats};

/// A package with its program in memory. Immutable, so that tasks share it.
#[derive(Debug)]
pub struct Model {
    /// What was loaded.
    pub package: Package,
    /// One for each input, in order.
    pub(crate) preparers: Vec<Preparer>,
    /// How long its passes take.
    pub(crate) pace: Pace,
    /// Whether the outputs of some pass matched model.toml.
    answered: AtomicBool,
    engine: Box<dyn Engine>,
    shapes: PassShapes,
    variant: String,
    precision: String,
}

/// What was loaded, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ModelFacts {
    /// The variant's file in the package.
    pub variant: String,
    /// That of the variant.
    pub precision: String,
    /// What runs it.
    pub engine: EngineName,
    /// Where it runs.
    pub device: String,
    /// Of its weights, in memory.
    pub weights_bytes: u64,
}

impl Model {
    /// Loads the variant that fits this machine and the options.
    ///
    /// # Errors
    /// A package that changed or is damaged, or a program that libtorch does not load.
    pub(crate) fn load(package: Package, options: &ModelOptions) -> Result<Self, EngineError> {
        let started = Instant::now();
        let name = package.descriptor.name.clone();
        let preparers = package.descriptor.inputs.iter().map(|i| Preparer::new(&package, i)).collect::<Result<Vec<_>, _>>()?;
        let (engine, variant) = engine::open(&package, options, &preparers)?;
        let given: usize = preparers.iter().map(Preparer::tensors).sum();
        if engine.inputs() != given {
            let cause = format!("{} takes {} tensors, model.toml declares {given}", variant.file, engine.inputs());
            return Err(EngineError::model(&name, cause));
        }
        let shapes = PassShapes::default();
        shapes.padded(&name, engine.as_ref(), &preparers, IMAGE_PASS_ROWS);
        stats::MODEL_LOADS.add(1);
        log::info!(
            "loaded model '{name}' ({}, {}, engine {} on {}, {} bytes of weights) in {} ms",
            variant.file,
            variant.precision,
            engine.name(),
            engine.device(),
            engine.parameter_bytes(),
            started.elapsed().as_millis()
        );
        let (variant, precision) = (variant.file.clone(), variant.precision.clone());
        Ok(Self { preparers, pace: Pace::default(), answered: AtomicBool::new(false), engine, shapes, variant, precision, package })
    }

    /// The package's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.package.descriptor.name
    }

    /// Bytes of its weights.
    #[must_use]
    pub fn weights_bytes(&self) -> u64 {
        self.engine.parameter_bytes()
    }

    /// The engine that runs its program.
    #[must_use]
    pub fn engine(&self) -> EngineName {
        self.engine.name()
    }

    /// What was loaded.
    #[must_use]
    pub fn facts(&self) -> ModelFacts {
        ModelFacts {
            variant: self.variant.clone(),
            precision: self.precision.clone(),
            engine: self.engine(),
            device: self.device().to_string(),
            weights_bytes: self.weights_bytes(),
        }
    }

    /// Where its program runs.
    #[must_use]
    pub fn device(&self) -> Device {
        self.engine.device()
    }

    /// The number of rows that a pass of `rows` rows should have: the engine may be faster with a few more. [`Self::forward`]
    /// drops their results.
    pub(crate) fn padded(&self, rows: usize) -> usize {
        self.shapes.padded(self.name(), self.engine.as_ref(), &self.preparers, rows)
    }

    /// Whether its program's outputs have matched model.toml for any row so far.
    pub(crate) fn has_answered(&self) -> bool {
        self.answered.load(Ordering::Relaxed)
    }

    /// One forward pass over `given` rows; the outputs of the first `rows` in the package's order, their shapes checked. Those that are
    /// not wanted may be undefined.
    pub(crate) fn forward(&self, inputs: &[Tensor], given: usize, rows: usize, wanted: Wanted) -> Result<Vec<Tensor>, EngineError> {
        let outputs = self.engine.forward(inputs, wanted).map_err(|error| EngineError::torch(self.name(), error))?;
        stats::FORWARDS.add(1);
        stats::ROWS_FORWARDED.add(rows);
        let tensors = self.in_order(outputs)?;
        self.check(&tensors, given, wanted)?;
        self.answered.store(true, Ordering::Relaxed);
        if given == rows {
            return Ok(tensors);
        }
        let own =
            tensors.iter().map(|tensor| memory::if_defined(tensor, |tensor| tensor.f_narrow(0, 0, rows as i64))).collect::<Result<_, _>>();
        own.map_err(|error| EngineError::torch(self.name(), error))
    }

    fn check(&self, tensors: &[Tensor], rows: usize, wanted: Wanted) -> Result<(), EngineError> {
        for (i, (tensor, declared)) in tensors.iter().zip(&self.package.descriptor.outputs).enumerate() {
            if !wanted.has(i) && !tensor.defined() {
                continue;
            }
            of_kind(tensor, declared).map_err(|cause| EngineError::model(self.name(), cause))?;
            let size = tensor.size();
            // The longest row's items, if rows differ in length.
            let longest = declared.lengths.as_ref().map(|_| size.get(1).copied().unwrap_or(-1));
            let shape = declared.shape.iter().map(|n| *n as i64);
            let expected: Vec<i64> = std::iter::once(rows as i64).chain(longest).chain(shape).collect();
            if size != expected {
                let cause = format!("output '{}' has shape {size:?}; model.toml declares {expected:?} (rows first)", declared.name);
                return Err(EngineError::model(self.name(), cause));
            }
        }
        self.check_lengths(tensors)
    }

    /// No row may claim more items than the pass has, or a negative number of them.
    fn check_lengths(&self, tensors: &[Tensor]) -> Result<(), EngineError> {
        let outputs = &self.package.descriptor.outputs;
        for (tensor, output) in tensors.iter().zip(outputs) {
            let Some(at) = output.lengths.as_ref().and_then(|name| outputs.iter().position(|o| o.name == *name)) else { continue };
            if !tensor.defined() || !tensors[at].defined() {
                continue;
            }
            let longest = tensor.size().get(1).copied().unwrap_or(0);
            let lengths = tensors[at].f_to_kind(Kind::Int64).and_then(|lengths| lengths.f_to_device(tch::Device::Cpu)?.f_contiguous());
            let lengths = lengths.map_err(|error| EngineError::torch(self.name(), error))?;
            let outside = memory::values::<i64>(&lengths).and_then(|lengths| lengths.iter().find(|n| !(0..=longest).contains(*n)).copied());
            if let Some(n) = outside {
                let cause = format!("output '{}' gives a row {n} items of the {longest} of output '{}'", outputs[at].name, output.name);
                return Err(EngineError::model(self.name(), cause));
            }
        }
        Ok(())
    }

    fn in_order(&self, outputs: Outputs) -> Result<Vec<Tensor>, EngineError> {
        let declared = &self.package.descriptor.outputs;
        let fail = |cause| EngineError::model(self.name(), cause);
        let Some(names) = &outputs.names else {
            if outputs.tensors.len() != declared.len() {
                return Err(fail(format!(
                    "the program returned {} tensors; model.toml declares {}",
                    outputs.tensors.len(),
                    declared.len()
                )));
            }
            return Ok(outputs.tensors);
        };
        let find = |name: &String| names.iter().position(|n| n == name);
        declared
            .iter()
            .map(|output| match find(&output.name) {
                Some(i) => Ok(outputs.tensors[i].shallow_clone()),
                None => Err(fail(format!("the program returned {names:?}, but no '{}'", output.name))),
            })
            .collect()
    }
}

/// Rejects element types whose numbers would change in a column of the declared type.
fn of_kind(tensor: &Tensor, declared: &Output) -> Result<(), String> {
    use Kind::{BFloat16, Bool, Double, Float, Half, Int, Int8, Int16, Int64, Uint8};
    let whole = matches!(declared.dtype, Dtype::I64 | Dtype::I32 | Dtype::I16 | Dtype::I8 | Dtype::U8 | Dtype::Bool);
    let given = match tensor.f_kind() {
        Ok(Int64 | Int | Int16 | Int8 | Uint8 | Bool) => return Ok(()),
        Ok(Float | Double | Half | BFloat16) if !whole => return Ok(()),
        Ok(kind) => format!("{kind:?}"),
        Err(_) => "a type that Flambeau does not know".into(),
    };
    Err(format!("output '{}' has elements of type {given}; model.toml declares {:?}", declared.name, declared.dtype))
}

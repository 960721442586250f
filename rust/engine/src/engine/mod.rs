//! The engines that run programs. A session uses an [`Engine`] and does not know which one.
//!
//! `torchscript` runs a TorchScript program as libtorch's interpreter does. `fused` runs the same program with the kernels of
//! oneDNN: products with packed weights, and for images plans of fixed shapes ([`shapes`]). `choice` finds the fastest engine
//! with correct outputs, and `kept` saves it for the machine.
//!
//! An engine is made once per process and model, by the thread that loads the model, and shared by all tasks.

mod choice;
mod fused;
mod kept;
mod shapes;
mod torchscript;

use std::fmt::{self, Debug};

use flambeau_torch_ext::{Behind, Outputs, ScriptModule, TorchError};
use serde::{Deserialize, Serialize};
use tch::Tensor;

pub use kept::keep_choices;
pub(crate) use shapes::PassShapes;

use crate::package::Variant;
use crate::prepare::Preparer;
use crate::{EngineError, ModelOptions, Package, WantedEngine};

/// A program that is ready to run.
pub(crate) trait Engine: Debug + Send + Sync {
    /// Which one it is.
    fn name(&self) -> EngineName;

    /// Bytes of its weights.
    fn parameter_bytes(&self) -> u64;

    /// How many tensors `forward` takes.
    fn inputs(&self) -> usize;

    /// One forward pass over contiguous tensors, or images with channels last. Called by many threads at once.
    ///
    /// # Errors
    /// Whatever the program raises.
    fn forward(&self, inputs: &[Tensor]) -> Result<Outputs, TorchError>;

    /// Whether passes are faster if they have few, fixed shapes.
    fn has_plans(&self) -> bool {
        false
    }

    /// Makes passes with inputs of these sizes and strides fast; their values do not matter.
    ///
    /// # Errors
    /// Whatever the program raises.
    fn plan(&self, _inputs: &[Tensor]) -> Result<(), TorchError> {
        Ok(())
    }
}

/// The engines, by their names in `spark.flambeau.engine`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineName {
    /// libtorch's interpreter.
    Torchscript,
    /// The same program with the kernels of oneDNN.
    Fused,
}

impl EngineName {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Torchscript, Self::Fused];
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Torchscript => "torchscript",
            Self::Fused => "fused",
        })
    }
}

/// Loads the variant's program into the engine of the options. `preparers` make the inputs for comparing engines.
///
/// # Errors
/// A program that does not load, or an engine that does not exist.
pub(crate) fn open(
    package: &Package,
    variant: &Variant,
    options: &ModelOptions,
    preparers: &[Preparer],
) -> Result<Box<dyn Engine>, EngineError> {
    let script = script(package, variant)?;
    Ok(match options.engine {
        WantedEngine::Torchscript => Box::new(torchscript::TorchscriptEngine::new(script)),
        WantedEngine::Fused => choice::fused_or(script, &package.descriptor.name),
        WantedEngine::Auto => choice::fastest(package, variant, script, preparers),
    })
}

fn script(package: &Package, variant: &Variant) -> Result<ScriptModule, EngineError> {
    let archive = package.program(variant)?;
    let head = variant.head.as_ref().map(|head| Ok((package.head(head)?, head))).transpose()?;
    let behind = head.as_ref().map(|(archive, head)| Behind { head: archive, index: head.index, key: &head.reads });
    let loaded = ScriptModule::load(&archive, behind.as_ref(), None);
    loaded.map_err(|error| EngineError::program(&package.descriptor.name, &variant.programs(), error))
}

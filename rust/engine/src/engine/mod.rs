//! The engines that run programs. A session uses an [`Engine`] and does not know which one.
//!
//! `torchscript` runs a TorchScript program as libtorch's interpreter does. `fused` runs the same program with the kernels of
//! oneDNN: products with packed weights, and for images plans of fixed shapes ([`shapes`]). `aot` runs code that was compiled ahead
//! of time, if the package has it and the machine can run it. `cuda` runs the program on a GPU. `choice` finds the fastest engine
//! with correct outputs, and `kept` saves it for the machine.
//!
//! An engine is made once per process and model, by the thread that loads the model, and shared by all tasks.

mod aot;
mod choice;
mod cuda;
mod fused;
mod kept;
mod shapes;
mod torchscript;

use std::fmt::{self, Debug};

use flambeau_torch_ext::{AttachedHead, Device, Outputs, ScriptModule, TorchError};
use serde::{Deserialize, Serialize};
use tch::Tensor;

pub use aot::allow_machine_code;
pub use kept::keep_choices;
pub(crate) use shapes::PassShapes;

use crate::package::Variant;
use crate::prepare::Preparer;
use crate::{EngineError, ModelOptions, Package, WantedEngine};

/// A program that is ready to run.
pub(crate) trait Engine: Debug + Send + Sync {
    /// Which one it is.
    fn name(&self) -> EngineName;

    /// Where it runs. A thread that calls `forward` must be on it ([`Device::enter`]), and finds the outputs there.
    fn device(&self) -> Device {
        Device::Cpu
    }

    /// Bytes of its weights.
    fn parameter_bytes(&self) -> u64;

    /// How many tensors `forward` takes.
    fn inputs(&self) -> usize;

    /// One forward pass over contiguous tensors, or images with channels last. Called by many threads at once. Outputs that are not
    /// wanted may be undefined.
    ///
    /// # Errors
    /// Whatever the program raises.
    fn forward(&self, inputs: &[Tensor], wanted: Wanted) -> Result<Outputs, TorchError>;

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

/// Which outputs of a program someone will read, by their index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted(pub(crate) u64);

impl Wanted {
    pub(crate) const ALL: Self = Self(u64::MAX);
    pub(crate) const NONE: Self = Self(0);

    /// Also that one. From the 65th on, all outputs are wanted.
    #[must_use]
    pub(crate) fn with(self, output: usize) -> Self {
        Self(self.0 | u32::try_from(output).ok().and_then(|n| 1_u64.checked_shl(n)).unwrap_or(0))
    }

    pub(crate) fn has(self, output: usize) -> bool {
        output >= 64 || self.0 >> output & 1 == 1
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
    /// Code that was compiled ahead of time.
    Aot,
    /// libtorch's interpreter on a CUDA device.
    Cuda,
}

impl fmt::Display for EngineName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Torchscript => "torchscript",
            Self::Fused => "fused",
            Self::Aot => "aot",
            Self::Cuda => "cuda",
        })
    }
}

/// An engine, and the variant of the package that it runs.
type Opened<'a> = (Box<dyn Engine>, &'a Variant);

/// Loads the program for this machine into the engine of the options. `preparers` make the inputs for comparing engines.
///
/// # Errors
/// A program that does not load.
pub(crate) fn open<'a>(package: &'a Package, options: &ModelOptions, preparers: &[Preparer]) -> Result<Opened<'a>, EngineError> {
    if options.device.is_cuda() {
        return on_device(package, options);
    }
    let compiled = package.compiled_variant(options).and_then(|variant| aot::refusal(variant).map_or(Ok(variant), Err));
    let model = &package.descriptor.name;
    if options.engine == WantedEngine::Aot {
        let why = match compiled {
            Ok(variant) => match aot::AotEngine::load(&package.program(variant)?, variant) {
                Ok(aot) => return Ok((Box::new(aot), variant)),
                Err(why) => why,
            },
            Err(why) => why,
        };
        log::warn!("model '{model}' does not run with the engine aot: {why}");
        return choice::fastest(package, package.choose_variant(options)?, None, preparers);
    }
    let variant = package.choose_variant(options)?;
    Ok(match options.engine {
        WantedEngine::Torchscript => (Box::new(torchscript::TorchscriptEngine::new(script(package, variant)?)), variant),
        WantedEngine::Fused => (choice::fused_or(script(package, variant)?, model), variant),
        WantedEngine::Auto | WantedEngine::Aot => {
            let same = compiled.ok().filter(|other| other.precision == variant.precision);
            return choice::fastest(package, variant, same, preparers);
        }
    })
}

/// The program on the CUDA device of the options.
fn on_device<'a>(package: &'a Package, options: &ModelOptions) -> Result<Opened<'a>, EngineError> {
    let (model, device) = (&package.descriptor.name, options.device);
    if !matches!(options.engine, WantedEngine::Auto | WantedEngine::Torchscript) {
        let cause =
            format!("spark.flambeau.engine chooses an engine of processors, but spark.flambeau.device is {device}: set the engine to auto");
        return Err(EngineError::BadRequest(format!("model '{model}': {cause}")));
    }
    device.check().map_err(|error| EngineError::torch(model, error))?;
    let variant = package.choose_variant(options)?;
    Ok((Box::new(cuda::CudaEngine::new(script_on(package, variant, device)?, device)), variant))
}

fn script(package: &Package, variant: &Variant) -> Result<ScriptModule, EngineError> {
    script_on(package, variant, Device::Cpu)
}

fn script_on(package: &Package, variant: &Variant, device: Device) -> Result<ScriptModule, EngineError> {
    let archive = package.program(variant)?;
    let head = variant.head.as_ref().map(|head| Ok((package.head(head)?, head))).transpose()?;
    let attached = head.as_ref().map(|(archive, head)| AttachedHead { program: archive, index: head.index, key: &head.reads });
    let loaded = ScriptModule::load(&archive, attached.as_ref(), device);
    loaded.map_err(|error| EngineError::program(&package.descriptor.name, &variant.programs(), error))
}

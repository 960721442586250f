//! Code that was compiled ahead of time for processors like this one: see [`AotModule`].

use std::num::NonZero;
use std::sync::atomic::{AtomicBool, Ordering};

use flambeau_torch_ext::{AotModule, Archive, Outputs, TorchError};
use tch::Tensor;

use super::{Engine, EngineName, Wanted, kept};
use crate::package::Variant;

/// Machine code can do all that the process may, which a TorchScript program cannot.
static ALLOWED: AtomicBool = AtomicBool::new(false);

/// Whether code of packages may run in this process: `spark.flambeau.models.machineCode`. Not before this is called.
pub fn allow_machine_code(allowed: bool) {
    ALLOWED.store(allowed, Ordering::Relaxed);
}

/// The reason that `variant` may not run here, if it may not.
pub(super) fn refusal(variant: &Variant) -> Option<String> {
    let refused = !ALLOWED.load(Ordering::Relaxed);
    refused.then(|| format!("{} is machine code, and spark.flambeau.models.machineCode is false", variant.file))
}

/// Threads that can be inside the code at once, for each core of the machine. Each costs a few hundred bytes; weights are shared.
const RUNNERS_A_CORE: usize = 4;

#[derive(Debug)]
pub(super) struct AotEngine {
    module: AotModule,
}

impl AotEngine {
    /// The code of `program`, which is the file of `variant`.
    ///
    /// # Errors
    /// Why it cannot run here, for the log.
    pub(super) fn load(program: &Archive, variant: &Variant) -> Result<Self, String> {
        let cores = std::thread::available_parallelism().map_or(2, NonZero::get).max(2);
        let loaded = AotModule::load(program, cores * RUNNERS_A_CORE, &kept::scratch());
        loaded.map(|module| Self { module }).map_err(|error| format!("{} cannot be opened: {error}", variant.file))
    }
}

impl Engine for AotEngine {
    fn name(&self) -> EngineName {
        EngineName::Aot
    }

    fn parameter_bytes(&self) -> u64 {
        self.module.parameter_bytes()
    }

    fn inputs(&self) -> usize {
        self.module.inputs()
    }

    fn forward(&self, inputs: &[Tensor], _wanted: Wanted) -> Result<Outputs, TorchError> {
        self.module.forward(inputs)
    }
}

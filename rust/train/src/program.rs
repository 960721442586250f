//! The trained program: a head, or the program of a package. Either way it is a TorchScript module with named parameters.

use flambeau_engine::EngineError;
use flambeau_engine::package::{Dtype, InputKind, Package};
use flambeau_torch_ext::Trainable;
use tch::Tensor;

use super::head::{self, DropoutKey};
use super::param_filter::ParamFilter;
use super::random::Stream;
use super::spec::{Precision, ProgramSpec, TrainingSpec};

/// Purpose of the stream of random numbers.
const PURPOSE: u64 = 3;

/// PyTorch's message for batch normalization over one value per channel.
const ONE_VALUE: &str = "Expected more than 1 value per channel when training";

/// Dimensions of a row with channels last, the faster layout for convolutions on a CPU (measured: 1.3 times the rows/s).
pub(super) const PICTURE_RANK: usize = 3;

/// Arguments of the loss's method: the output and the labels.
const LOSS_INPUTS: usize = 2;

/// See the module.
pub(super) struct Program {
    /// For messages.
    pub(super) name: String,
    pub(super) script: Trainable,
    pub(super) package: Option<Package>,
    /// Which of the package's outputs the loss reads.
    pub(super) output: usize,
    /// Values of a row of that output, and their type.
    pub(super) outputs: usize,
    pub(super) dtype: Dtype,
    loss_method: Option<String>,
    bf16: bool,
    /// Parameters that change, by name.
    pub(super) trainable: Vec<(String, Tensor)>,
    /// Running statistics and the like.
    pub(super) buffers: Vec<(String, Tensor)>,
    training: Option<bool>,
}

/// Checks that a package's program has the output, the method for the loss, and the parameters to freeze.
///
/// # Errors
/// The missing name, with the existing ones.
pub fn check_program(spec: &ProgramSpec) -> Result<(), EngineError> {
    let Some(directory) = &spec.package else { return Ok(()) };
    let mut program = Program::of_package(Package::open(directory)?, spec)?;
    program.freeze(&spec.frozen)
}

fn check_loss_method(model: &str, script: &Trainable, method: &str) -> Result<(), EngineError> {
    let refuse = |why: String| {
        let advice = "mark the method @torch.jit.export, let it take the output and the labels, and export the package again";
        Err(EngineError::BadRequest(format!("loss='method:{method}': {why}; {advice}")))
    };
    let methods = script.methods().map_err(|error| EngineError::torch(model, error))?;
    match methods.iter().find(|(name, _)| name == method) {
        Some((_, inputs)) if *inputs == LOSS_INPUTS => Ok(()),
        Some((_, inputs)) => refuse(format!("this method of model '{model}' takes {inputs} values, not {LOSS_INPUTS}")),
        None => {
            let names: Vec<&str> = methods.iter().map(|(name, _)| name.as_str()).filter(|name| *name != "forward").collect();
            let others = if names.is_empty() { "no method but forward".to_owned() } else { format!("only {}", names.join(", ")) };
            refuse(format!("model '{model}' has no such method, {others}"))
        }
    }
}

impl Program {
    pub(super) fn new(spec: &TrainingSpec) -> Result<Self, EngineError> {
        let bf16 = spec.precision == Precision::Bf16;
        let mut program = match (&spec.program.head, &spec.program.package) {
            (Some(of_head), _) => Self::bare(head::NAME.to_owned(), head::module(of_head, spec.seed)?, None, 0, of_head.outputs),
            (None, Some(directory)) => Self::of_package(Package::open(directory)?, &spec.program)?,
            (None, None) => return Err(EngineError::BadRequest("there is no program".into())),
        };
        program.bf16 = bf16;
        program.loss_method.clone_from(&spec.program.loss_method);
        program.freeze(&spec.program.frozen)?;
        Ok(program)
    }

    fn bare(name: String, script: Trainable, package: Option<Package>, output: usize, outputs: usize) -> Self {
        let (trainable, buffers) = (Vec::new(), Vec::new());
        let (loss_method, dtype) = (None, Dtype::F32);
        Self { name, script, package, output, outputs, dtype, loss_method, bf16: false, trainable, buffers, training: None }
    }

    fn of_package(package: Package, spec: &ProgramSpec) -> Result<Self, EngineError> {
        let descriptor = &package.descriptor;
        let name = descriptor.name.clone();
        let fail = |cause: String| EngineError::model(&name, cause);
        if !descriptor.trainable {
            return Err(fail(
                "this package is for inference: its model.toml does not say `trainable = true`; make one with flambeau.export.trainable"
                    .into(),
            ));
        }
        let output = match &spec.output {
            None => 0,
            Some(wanted) => descriptor.outputs.iter().position(|o| o.name == *wanted).ok_or_else(|| {
                let names: Vec<_> = descriptor.outputs.iter().map(|o| o.name.as_str()).collect();
                EngineError::BadRequest(format!("model '{name}' has no output '{wanted}', only {}", names.join(", ")))
            })?,
        };
        let variant = package.plain_variant().ok_or_else(|| fail("there is no f32 TorchScript variant to train".into()))?;
        let archive = package.program(variant)?;
        let mut script = Trainable::load(&archive).map_err(|error| EngineError::program(&name, &variant.file, error))?;
        let has_pictures = descriptor.inputs.iter().any(|input| input.kind == InputKind::Image || input.shape.len() == PICTURE_RANK);
        if let Some(method) = &spec.loss_method {
            check_loss_method(&name, &script, method)?;
        }
        if has_pictures {
            script.channels_last().map_err(|error| EngineError::torch(&name, error))?;
        }
        let (outputs, dtype) = (descriptor.outputs[output].row_len(), descriptor.outputs[output].dtype);
        let bare = Self::bare(name, script, Some(package), output, outputs);
        Ok(Self { dtype, ..bare })
    }

    /// Decides which parameters change. Parameters that are frozen in the file stay frozen.
    fn freeze(&mut self, patterns: &[String]) -> Result<(), EngineError> {
        let torch = |error| EngineError::torch(&self.name, error);
        let all = self.script.parameters().map_err(torch)?;
        let frozen = ParamFilter::new(patterns)?;
        if let Some(pattern) = frozen.unused(all.iter().map(|(name, _)| name.as_str())) {
            let names: Vec<_> = all.iter().take(20).map(|(name, _)| name.as_str()).collect();
            let text =
                format!("no parameter of model '{}' matches frozen layers '{pattern}'; its parameters are {}", self.name, names.join(", "));
            return Err(EngineError::BadRequest(text));
        }
        for (name, tensor) in &all {
            if frozen.matches(name) {
                let _ = tensor.set_requires_grad(false);
            }
        }
        self.buffers = self.script.buffers().map_err(torch)?;
        self.trainable = all.into_iter().filter(|(_, tensor)| tensor.requires_grad()).collect();
        if self.trainable.is_empty() {
            return Err(EngineError::BadRequest(format!("no parameter of model '{}' is left to train: all are frozen", self.name)));
        }
        Ok(())
    }

    /// The output that the loss reads, `[n, …]`, with its history.
    pub(super) fn forward(&mut self, inputs: &[Tensor], key: &DropoutKey<'_>, rank: usize) -> Result<Tensor, EngineError> {
        self.mode(true)?;
        // Dropout inside a program draws from the process's generator: exact again after a resume where one training runs
        // in the process at a time.
        let seed = Stream::of(&[key.seed, PURPOSE, key.step, rank as u64]).at(u64::from(key.positions.first().copied().unwrap_or(0)));
        tch::manual_seed((seed >> 1) as i64);
        match self.run("forward", inputs, true) {
            // One row has no variance: it is normalized with the running statistics, as in inference.
            Err(error) if self.normalizes() && error.to_string().contains(ONE_VALUE) => {
                self.mode(false)?;
                self.run("forward", inputs, true)
            }
            done => done,
        }
    }

    /// Whether it has batch normalization, which needs more than one row of a batch in each worker.
    pub(super) fn normalizes(&self) -> bool {
        self.buffers.iter().any(|(name, _)| name.ends_with("running_mean"))
    }

    /// The same in eval mode, without history.
    pub(super) fn predict(&mut self, inputs: &[Tensor]) -> Result<Tensor, EngineError> {
        self.mode(false)?;
        self.run("forward", inputs, false)
    }

    /// The losses of rows by the program's own method, if the training uses it: f32 `[n]`.
    pub(super) fn own_loss(&mut self, output: &Tensor, target: &Tensor, autograd: bool) -> Option<Result<Tensor, EngineError>> {
        let method = self.loss_method.clone()?;
        let inputs = [output.shallow_clone(), target.shallow_clone()];
        let result = self.script.run(&method, &inputs, autograd, self.bf16).map_err(|error| EngineError::torch(&self.name, error));
        Some(result.and_then(|mut outputs| {
            let rows = target.size().first().copied().unwrap_or(0);
            match outputs.tensors.pop() {
                Some(losses) if losses.size() == [rows] => Ok(losses),
                Some(losses) => {
                    let cause = format!("{method} must return one loss per row, [{rows}]; it gave {:?}", losses.size());
                    Err(EngineError::model(&self.name, cause))
                }
                None => Err(EngineError::model(&self.name, format!("{method} gave nothing"))),
            }
        }))
    }

    pub(super) fn has_own_loss(&self) -> bool {
        self.loss_method.is_some()
    }

    fn mode(&mut self, training: bool) -> Result<(), EngineError> {
        if self.training != Some(training) {
            self.script.set_training(training).map_err(|error| EngineError::torch(&self.name, error))?;
            self.training = Some(training);
        }
        Ok(())
    }

    fn run(&mut self, method: &str, inputs: &[Tensor], autograd: bool) -> Result<Tensor, EngineError> {
        let mut outputs = self.script.run(method, inputs, autograd, self.bf16).map_err(|error| EngineError::torch(&self.name, error))?;
        let place = match (&outputs.names, &self.package) {
            (Some(names), Some(package)) => {
                let wanted = &package.descriptor.outputs[self.output].name;
                names.iter().position(|name| name == wanted)
            }
            _ => Some(self.output),
        };
        match place.filter(|place| *place < outputs.tensors.len()) {
            Some(place) => Ok(outputs.tensors.swap_remove(place)),
            None => Err(EngineError::model(&self.name, "the program returned fewer outputs than model.toml declares")),
        }
    }
}

//! The trained program: a head, or the program of a package. Either way it is a TorchScript module with named parameters.

use flambeau_engine::EngineError;
use flambeau_engine::package::{Dtype, InputKind, Package};
use flambeau_torch_ext::Trainable;
use tch::Tensor;

use super::head::{self, DropoutKey};
use super::param_filter::ParamFilter;
use super::param_groups::{self, ParamGroup};
use super::random::Stream;
use super::spec::{Precision, ProgramSpec, TrainingSpec};

/// Purpose of the stream of random numbers.
const PURPOSE: u64 = 3;

/// PyTorch's message for batch normalization over one value per channel.
const ONE_VALUE: &str = "Expected more than 1 value per channel when training";

/// Dimensions of a row with channels last, the faster layout for convolutions on a CPU (measured: 1.3 times the rows/s).
pub(super) const PICTURE_RANK: usize = 3;

/// Arguments of a method for the loss or a metric that is of one output: the output and the labels.
const METHOD_INPUTS: usize = 2;

/// A method of the program, for the loss or a metric.
#[derive(Debug, Clone)]
struct Method {
    name: String,
    /// Whether it gets all outputs, rather than the one that the loss reads.
    takes_all: bool,
}

/// What a forward pass gives.
pub(super) struct Outputs {
    /// The output that the loss reads, `[n, …]`; of pairs `[n, 2 d]`.
    pub(super) read: Tensor,
    /// All of them, as the package declares them; none if no method takes them.
    all: Vec<Tensor>,
}

impl Outputs {
    /// Of a program with one output.
    pub(super) fn one(read: Tensor) -> Self {
        Self { read, all: Vec::new() }
    }
}

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
    loss_method: Option<Method>,
    bf16: bool,
    /// Whether it gets the tensors of two rows at a time, and gives one output after the other: `[n, 2 d]`.
    has_pairs: bool,
    metric_methods: Vec<Method>,
    /// Parameters that change, by name, group by group.
    pub(super) trainable: Vec<(String, Tensor)>,
    pub(super) groups: Vec<ParamGroup>,
    /// Running statistics and the like.
    pub(super) buffers: Vec<(String, Tensor)>,
    training: Option<bool>,
}

/// Checks that a package's program has the output, the methods for loss and metrics, and the parameters that patterns name.
///
/// # Errors
/// The missing name, with the existing ones.
pub fn check_program(spec: &ProgramSpec) -> Result<(), EngineError> {
    let Some(directory) = &spec.package else { return Ok(()) };
    let mut program = Program::of_package(Package::open(directory)?, spec)?;
    program.freeze(spec)
}

/// Whether a method takes one output and the labels (false), or all outputs and the labels (true). `setting`: what names the method, for messages.
fn takes_all(model: &str, script: &Trainable, outputs: usize, setting: &str, method: &str) -> Result<bool, EngineError> {
    let refuse = |why: String| {
        let advice =
            "mark the method @torch.jit.export, let it take the output (or all outputs) and the labels, and export the package again";
        Err(EngineError::BadRequest(format!("{setting}: {why}; {advice}")))
    };
    let methods = script.methods().map_err(|error| EngineError::torch(model, error))?;
    match methods.iter().find(|(name, _)| name == method) {
        Some((_, inputs)) if *inputs == METHOD_INPUTS => Ok(false),
        Some((_, inputs)) if *inputs == outputs + 1 => Ok(true),
        Some((_, inputs)) if outputs == 1 => refuse(format!("this method of model '{model}' takes {inputs} values, not {METHOD_INPUTS}")),
        Some((_, inputs)) => {
            refuse(format!("this method of model '{model}' takes {inputs} values, not {METHOD_INPUTS} or {}", outputs + 1))
        }
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
        program.has_pairs = !spec.pair_inputs.is_empty();
        program.freeze(&spec.program)?;
        Ok(program)
    }

    fn bare(name: String, script: Trainable, package: Option<Package>, output: usize, outputs: usize) -> Self {
        Self {
            name,
            script,
            package,
            output,
            outputs,
            dtype: Dtype::F32,
            loss_method: None,
            bf16: false,
            has_pairs: false,
            metric_methods: Vec::new(),
            trainable: Vec::new(),
            groups: Vec::new(),
            buffers: Vec::new(),
            training: None,
        }
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
        let method = |setting: String, method: &String| {
            let takes_all = takes_all(&name, &script, descriptor.outputs.len(), &setting, method)?;
            Ok::<_, EngineError>(Method { name: method.clone(), takes_all })
        };
        let loss_method = spec.loss_method.as_ref().map(|of| method(format!("loss='method:{of}'"), of)).transpose()?;
        let metric_methods = spec.metric_methods.iter().map(|of| method(format!("metricMethods names {of}"), of));
        let metric_methods = metric_methods.collect::<Result<Vec<_>, _>>()?;
        if has_pictures {
            script.channels_last().map_err(|error| EngineError::torch(&name, error))?;
        }
        let (outputs, dtype) = (descriptor.outputs[output].row_len(), descriptor.outputs[output].dtype);
        let bare = Self::bare(name, script, Some(package), output, outputs);
        Ok(Self { dtype, loss_method, metric_methods, ..bare })
    }

    /// Decides which parameters change, and in which groups. Parameters that are frozen in the file stay frozen.
    fn freeze(&mut self, spec: &ProgramSpec) -> Result<(), EngineError> {
        let torch = |error| EngineError::torch(&self.name, error);
        let all = self.script.parameters().map_err(torch)?;
        let frozen = ParamFilter::new("frozen", &spec.frozen)?;
        frozen.check(&self.name, &all.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>())?;
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
        self.groups = param_groups::arrange(spec, &self.name, &mut self.trainable)?;
        Ok(())
    }

    /// The outputs, with their history.
    pub(super) fn forward(&mut self, inputs: &[Tensor], key: &DropoutKey<'_>, rank: usize) -> Result<Outputs, EngineError> {
        self.mode(true)?;
        // Dropout inside a program draws from the process's generator: exact again after a resume where one training runs
        // in the process at a time.
        let seed = Stream::of(&[key.seed, PURPOSE, key.step, rank as u64]).at(u64::from(key.positions.first().copied().unwrap_or(0)));
        tch::manual_seed((seed >> 1) as i64);
        match self.outputs_of(inputs, true) {
            // One row has no variance: it is normalized with the running statistics, as in inference.
            Err(error) if self.normalizes() && error.to_string().contains(ONE_VALUE) => {
                self.mode(false)?;
                self.outputs_of(inputs, true)
            }
            done => done,
        }
    }

    fn outputs_of(&mut self, inputs: &[Tensor], autograd: bool) -> Result<Outputs, EngineError> {
        if !self.has_pairs {
            return self.run(inputs, autograd);
        }
        let (rows, partners) = inputs.split_at(inputs.len() / 2);
        let both = [self.run(rows, autograd)?.read, self.run(partners, autograd)?.read];
        Tensor::f_cat(&both, 1).map(Outputs::one).map_err(|error| EngineError::torch(&self.name, error))
    }

    /// Whether it has batch normalization, which needs more than one row of a batch in each worker.
    pub(super) fn normalizes(&self) -> bool {
        self.buffers.iter().any(|(name, _)| name.ends_with("running_mean"))
    }

    /// The same in eval mode, without history.
    pub(super) fn predict(&mut self, inputs: &[Tensor]) -> Result<Outputs, EngineError> {
        self.mode(false)?;
        self.outputs_of(inputs, false)
    }

    /// The losses of rows by the program's own method, if the training uses it: f32 `[n]`.
    pub(super) fn own_loss(&mut self, outputs: &Outputs, target: &Tensor, autograd: bool) -> Option<Result<Tensor, EngineError>> {
        let method = self.loss_method.clone()?;
        Some(self.of_rows(&method, "loss", outputs, target, autograd))
    }

    /// What each of the program's own metrics gives for the rows: `[n]`, by name.
    pub(super) fn own_metrics(&mut self, outputs: &Outputs, target: &Tensor) -> Result<Vec<(String, Tensor)>, EngineError> {
        let methods = self.metric_methods.clone();
        let of = |method: Method| self.of_rows(&method, "number", outputs, target, false).map(|numbers| (method.name, numbers));
        methods.into_iter().map(of).collect()
    }

    /// One number for each row, by a method of the program.
    fn of_rows(&mut self, method: &Method, what: &str, given: &Outputs, target: &Tensor, autograd: bool) -> Result<Tensor, EngineError> {
        let given = if method.takes_all { given.all.as_slice() } else { std::slice::from_ref(&given.read) };
        let inputs: Vec<Tensor> = given.iter().chain([target]).map(Tensor::shallow_clone).collect();
        let mut outputs =
            self.script.run(&method.name, &inputs, autograd, self.bf16).map_err(|error| EngineError::torch(&self.name, error))?;
        let rows = target.size().first().copied().unwrap_or(0);
        match outputs.tensors.pop() {
            Some(numbers) if numbers.size() == [rows] => Ok(numbers),
            Some(numbers) => {
                let cause = format!("{} must return one {what} per row, [{rows}]; it gave {:?}", method.name, numbers.size());
                Err(EngineError::model(&self.name, cause))
            }
            None => Err(EngineError::model(&self.name, format!("{} gave nothing", method.name))),
        }
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

    fn run(&mut self, inputs: &[Tensor], autograd: bool) -> Result<Outputs, EngineError> {
        let outputs = self.script.run("forward", inputs, autograd, self.bf16).map_err(|error| EngineError::torch(&self.name, error))?;
        let declared = self.package.as_ref().map_or(&[][..], |package| package.descriptor.outputs.as_slice());
        let of = |index: usize| {
            let place = match (&outputs.names, declared.get(index)) {
                (Some(names), Some(wanted)) => names.iter().position(|name| *name == wanted.name),
                _ => Some(index),
            };
            let found = place.and_then(|place| outputs.tensors.get(place)).map(Tensor::shallow_clone);
            found.ok_or_else(|| EngineError::model(&self.name, "the program returned fewer outputs than model.toml declares"))
        };
        let takes_all = self.loss_method.iter().chain(&self.metric_methods).any(|method| method.takes_all);
        let all = if takes_all { (0..declared.len()).map(of).collect::<Result<_, _>>()? } else { Vec::new() };
        Ok(Outputs { read: of(self.output)?, all })
    }
}

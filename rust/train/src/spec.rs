//! What a training is told; the JVM sends it as JSON. Unknown keys are errors; `null` means the default.

use std::path::PathBuf;

use flambeau_engine::EngineError;
use flambeau_media::image::ImageLimits;
use flambeau_torch_ext::{OptimizerKind, OptimizerOptions};
use serde::{Deserialize, Deserializer};

/// One training.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSpec {
    /// What is trained.
    pub program: ProgramSpec,
    /// Columns of the feed, in the order of the program's inputs.
    pub inputs: Vec<String>,
    /// By name; not read where the program has a method for it.
    pub loss: LossKind,
    /// One factor for each class; of `bce` with one output two, for 0 and 1. Default: 1.
    #[serde(default)]
    pub class_weights: Option<Vec<f64>>,
    /// Of `cross_entropy`, as PyTorch's. Default 0.
    #[serde(default, deserialize_with = "null_default")]
    pub label_smoothing: f64,
    /// Of `huber`. Default 1.
    #[serde(default)]
    pub huber_delta: Option<f64>,
    /// How parameters change.
    pub optimizer: OptimizerSpec,
    /// How the learning rate changes. Default: constant.
    #[serde(default, deserialize_with = "null_default")]
    pub schedule: ScheduleSpec,
    /// Largest norm of the gradient of all parameters; longer ones are shortened to it. Default: none.
    #[serde(default)]
    pub clip_norm: Option<f64>,
    /// Rows of a global batch.
    pub batch_rows: usize,
    /// Rows of one forward and backward pass in a worker. Default: all of the worker's part of a batch.
    #[serde(default)]
    pub micro_batch_rows: Option<usize>,
    /// Passes over all training rows.
    pub epochs: usize,
    /// Whether rows that do not fill an epoch's last batch are left out of the epoch. Default false.
    #[serde(default, deserialize_with = "null_default")]
    pub drop_last: bool,
    /// Bytes that the process may have in all, where something beside the machine bounds it. Default: nothing does.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// What an image may cost. Default: as in inference.
    #[serde(default, deserialize_with = "null_default")]
    pub images: ImageLimits,
    /// Of the order of rows, of a head's first parameters, of dropout and of augmentation.
    pub seed: u64,
    /// Of forward passes; parameters and sums are f32 in any case. Default f32.
    #[serde(default, deserialize_with = "null_default")]
    pub precision: Precision,
    /// Random changes of training images. Default: none.
    #[serde(default)]
    pub augment: Option<AugmentSpec>,
    /// What to watch on validation rows. Default: the loss.
    #[serde(default, deserialize_with = "null_default")]
    pub validation: ValidationSpec,
    /// A checkpoint is due after every so many steps.
    #[serde(default)]
    pub checkpoint_steps: Option<u64>,
    /// A checkpoint is due after every so many epochs.
    #[serde(default)]
    pub checkpoint_epochs: Option<usize>,
}

/// What is trained: a head made here, or the program of a package. Exactly one of the two is given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramSpec {
    /// Made here.
    #[serde(default)]
    pub head: Option<HeadSpec>,
    /// Folder of a trainable package.
    #[serde(default)]
    pub package: Option<PathBuf>,
    /// The package's output that the loss reads. Default: its first.
    #[serde(default)]
    pub output: Option<String>,
    /// Parameters that stay as they are: a name, a module's name, a pattern with `*`, or a regular expression.
    #[serde(default, deserialize_with = "null_default")]
    pub frozen: Vec<String>,
    /// A method of the program, `(output, target) -> losses of the rows`, instead of a loss by name.
    #[serde(default)]
    pub loss_method: Option<String>,
}

/// Linear layers with an activation between them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadSpec {
    /// Features of a row.
    pub inputs: usize,
    /// Classes or values of a row.
    pub outputs: usize,
    /// Widths of the hidden layers; none makes a linear model.
    #[serde(default, deserialize_with = "null_default")]
    pub hidden: Vec<usize>,
    /// After each hidden layer. Default relu.
    #[serde(default, deserialize_with = "null_default")]
    pub activation: HeadActivation,
    /// Share of a hidden layer's values that are zeroed in training. Default 0.
    #[serde(default, deserialize_with = "null_default")]
    pub dropout: f64,
}

/// Between a head's layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum HeadActivation {
    #[default]
    Relu,
    Tanh,
    Gelu,
    Sigmoid,
}

/// Losses by name; PyTorch's definitions, a row's loss being the mean over its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// Of scores, one for each class, and the index of the class.
    CrossEntropy,
    /// Of scores and labels between 0 and 1, output by output.
    Bce,
    /// Squared error.
    Mse,
    /// Absolute error.
    Mae,
    /// Squared near 0, absolute beyond `huber_delta`.
    Huber,
}

/// Which optimiser, and its settings by PyTorch's names; what is left out has PyTorch's default.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are PyTorch's")]
pub struct OptimizerSpec {
    pub name: OptimizerName,
    pub lr: f64,
    #[serde(default)]
    pub momentum: Option<f64>,
    #[serde(default)]
    pub nesterov: Option<bool>,
    #[serde(default)]
    pub beta1: Option<f64>,
    #[serde(default)]
    pub beta2: Option<f64>,
    #[serde(default)]
    pub eps: Option<f64>,
    #[serde(default)]
    pub alpha: Option<f64>,
    #[serde(default)]
    pub weight_decay: Option<f64>,
}

/// See [`OptimizerKind`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the names are PyTorch's")]
pub enum OptimizerName {
    Sgd,
    Adam,
    AdamW,
    RmsProp,
}

impl OptimizerSpec {
    pub(crate) fn options(&self) -> OptimizerOptions {
        let kind = match self.name {
            OptimizerName::Sgd => OptimizerKind::Sgd,
            OptimizerName::Adam => OptimizerKind::Adam,
            OptimizerName::AdamW => OptimizerKind::AdamW,
            OptimizerName::RmsProp => OptimizerKind::RmsProp,
        };
        let decay = if kind == OptimizerKind::AdamW { 0.01 } else { 0.0 };
        OptimizerOptions {
            kind,
            lr: self.lr,
            momentum: self.momentum.unwrap_or(0.0),
            nesterov: self.nesterov.unwrap_or(false),
            beta1: self.beta1.unwrap_or(0.9),
            beta2: self.beta2.unwrap_or(0.999),
            eps: self.eps.unwrap_or(1e-8),
            alpha: self.alpha.unwrap_or(0.99),
            weight_decay: self.weight_decay.unwrap_or(decay),
        }
    }
}

/// How the learning rate changes, step by step; see `schedule`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// Its shape after the warm-up.
    #[serde(default, deserialize_with = "null_default")]
    pub name: ScheduleName,
    /// Steps over which the rate first grows from near 0 to its full height. Default 0.
    #[serde(default, deserialize_with = "null_default")]
    pub warmup_steps: u64,
    /// Of `step`: epochs between two changes. Default 1.
    #[serde(default)]
    pub step_epochs: Option<usize>,
    /// Of `step`: the factor at each change. Default 0.1.
    #[serde(default)]
    pub gamma: Option<f64>,
}

/// Shapes of the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are PyTorch's")]
pub enum ScheduleName {
    #[default]
    Constant,
    Step,
    Cosine,
    OneCycle,
}

/// Of forward passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Precision {
    #[default]
    F32,
    Bf16,
}

/// Random changes of training images, drawn anew for each row and epoch.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentSpec {
    /// Mirror half of the images left to right.
    #[serde(default, deserialize_with = "null_default")]
    pub flip: bool,
    /// Shift by up to so many pixels in each direction; the edge's pixels fill the rest.
    #[serde(default, deserialize_with = "null_default")]
    pub crop: usize,
    /// Change brightness and contrast by up to this share.
    #[serde(default, deserialize_with = "null_default")]
    pub colour: f64,
}

/// What is watched on validation rows after each epoch.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationSpec {
    /// Decides what is best.
    #[serde(default, deserialize_with = "null_default")]
    pub metric: MetricName,
    /// Stop after so many epochs without improvement. Default: never.
    #[serde(default)]
    pub patience: Option<usize>,
    /// What counts as an improvement. Default 0.
    #[serde(default, deserialize_with = "null_default")]
    pub min_delta: f64,
    /// Whether the best epoch's parameters are the result, rather than the last's. Default true.
    #[serde(default)]
    pub restore_best: Option<bool>,
}

/// Metrics by name; see `metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum MetricName {
    #[default]
    Loss,
    Accuracy,
    Auc,
    F1,
    Rmse,
    Mae,
}

impl MetricName {
    /// The key in a history row's metrics.
    pub(crate) fn key(self) -> &'static str {
        match self {
            Self::Loss => "loss",
            Self::Accuracy => "accuracy",
            Self::Auc => "auc",
            Self::F1 => "f1",
            Self::Rmse => "rmse",
            Self::Mae => "mae",
        }
    }

    pub(crate) fn larger_is_better(self) -> bool {
        matches!(self, Self::Accuracy | Self::Auc | Self::F1)
    }
}

impl TrainingSpec {
    /// Finds values that make no sense.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let refuse = |text: String| Err(EngineError::BadRequest(text));
        if self.batch_rows == 0 {
            return refuse("batchSize must be at least 1".into());
        }
        if self.micro_batch_rows == Some(0) {
            return refuse("microBatchSize must be at least 1".into());
        }
        let lr = self.optimizer.lr;
        if !lr.is_finite() || lr < 0.0 {
            return refuse(format!("learningRate must be a number of at least 0, not {lr}"));
        }
        if !(0.0..1.0).contains(&self.label_smoothing) {
            return refuse(format!("labelSmoothing must be in [0, 1), not {}", self.label_smoothing));
        }
        if self.clip_norm.is_some_and(|norm| !norm.is_finite() || norm <= 0.0) {
            return refuse("clipNorm must be above 0".into());
        }
        if self.class_weights.iter().flatten().any(|w| !w.is_finite() || *w < 0.0) {
            return refuse("classWeights must be numbers of at least 0".into());
        }
        if self.checkpoint_steps == Some(0) || self.checkpoint_epochs == Some(0) {
            return refuse("checkpoint intervals must be at least 1".into());
        }
        match (&self.program.head, &self.program.package) {
            (Some(head), None) => head.check(),
            (None, Some(_)) => Ok(()),
            _ => refuse("the program is either a head or a package".into()),
        }
    }
}

impl HeadSpec {
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        if self.inputs == 0 || self.outputs == 0 || self.hidden.contains(&0) {
            return Err(EngineError::BadRequest("every layer of a head needs at least 1 value".into()));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(EngineError::BadRequest(format!("dropout must be in [0, 1), not {}", self.dropout)));
        }
        Ok(())
    }
}

/// `null` as the default.
pub(super) fn null_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

//! The specification of a training. The JVM sends all of it as JSON (`io.flambeau.bridge.spec`): unknown and missing keys are
//! errors. Defaults are those of the estimators' parameters. Only an `Option` may be `null`; the field's comment describes what
//! that means.

use std::path::PathBuf;

use flambeau_engine::EngineError;
use flambeau_media::image::ImageLimits;
use flambeau_torch_ext::{OptimizerKind, OptimizerOptions};
use serde::Deserialize;

/// One training.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSpec {
    /// What is trained.
    pub program: ProgramSpec,
    /// Columns of the dataset, in the order of the program's inputs.
    pub inputs: Vec<String>,
    /// Columns of each row's partner, in the same order; none without pairs.
    pub pair_inputs: Vec<String>,
    /// By name; not read if the program has a method for it.
    pub loss: LossKind,
    /// One factor for each class; for `bce` with one output two, for 0 and 1. None: all 1.
    pub class_weights: Option<Vec<f64>>,
    /// Only for `cross_entropy`, as in PyTorch.
    pub label_smoothing: f64,
    /// Only for `huber`: the error, in label units, above which the loss grows linearly.
    pub huber_delta: f64,
    /// Only for `contrastive`: what similarities are divided by.
    pub temperature: f64,
    /// How parameters change.
    pub optimizer: OptimizerSpec,
    /// How the learning rate changes.
    pub schedule: ScheduleSpec,
    /// Largest norm of the gradient of all parameters; larger ones are scaled down to it. None: no limit.
    pub clip_norm: Option<f64>,
    /// Share of the moving average of the parameters that a step keeps. The average is validated and is the result. None: the parameters are.
    pub ema_decay: Option<f64>,
    /// Rows of a global batch.
    pub batch_rows: usize,
    /// Rows of one forward and backward pass in a worker. None: all of the worker's part of a batch.
    pub micro_batch_rows: Option<usize>,
    /// Passes over all training rows.
    pub epochs: usize,
    /// Steps after which an epoch ends, if its rows make more. None: it has all rows.
    pub steps_per_epoch: Option<usize>,
    /// Whether rows that do not fill an epoch's last batch are left out of the epoch.
    pub drop_last: bool,
    /// Total bytes that the process may use, if there is a limit besides the machine's. None: no such limit.
    pub memory_bytes: Option<u64>,
    /// Limits for an image.
    pub images: ImageLimits,
    /// Of the order of rows, of a head's first parameters, of dropout and of augmentation.
    pub seed: u64,
    /// Of forward passes; parameters and sums are f32 in any case.
    pub precision: Precision,
    /// Random changes of training images, if any.
    pub augment: Option<AugmentSpec>,
    /// The evaluation on validation rows.
    pub validation: ValidationSpec,
    /// Steps between two checkpoints.
    pub checkpoint_steps: Option<u64>,
    /// Epochs between two checkpoints.
    pub checkpoint_epochs: Option<usize>,
}

/// The trained program: a head made here, or the program of a package. Exactly one of the two is given.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProgramSpec {
    /// Made here.
    pub head: Option<HeadSpec>,
    /// Folder of a trainable package.
    pub package: Option<PathBuf>,
    /// The package's output that the loss reads. None: its first.
    pub output: Option<String>,
    /// Frozen parameters: a name, a module's name, a pattern with `*`, or a regular expression.
    pub frozen: Vec<String>,
    /// Factors of the learning rate of some parameters; 1 for all others. No parameter has two.
    pub learning_rate_factors: Vec<LearningRateFactor>,
    /// Parameters that weight decay does not pull towards zero; patterns as in `frozen`.
    pub no_weight_decay: Vec<String>,
    /// A method of the program, `(output, target) -> losses of the rows` or `(all outputs…, target)`, instead of a loss by name.
    pub loss_method: Option<String>,
    /// Methods of the program, `(output, target) -> numbers of the rows`: their means over the validation rows are metrics of their names.
    pub metric_methods: Vec<String>,
}

impl ProgramSpec {
    /// A head made here.
    #[must_use]
    pub fn of_head(head: HeadSpec) -> Self {
        Self {
            head: Some(head),
            package: None,
            output: None,
            frozen: Vec::new(),
            learning_rate_factors: Vec::new(),
            no_weight_decay: Vec::new(),
            loss_method: None,
            metric_methods: Vec::new(),
        }
    }
}

/// The factor of the learning rate of the parameters that a pattern (as in `frozen`) matches.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "see above")]
pub struct LearningRateFactor {
    pub parameters: String,
    pub factor: f64,
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
    pub hidden: Vec<usize>,
    /// After each hidden layer.
    pub activation: HeadActivation,
    /// Share of a hidden layer's values that are zeroed in training.
    pub dropout: f64,
}

/// Between a head's layers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum HeadActivation {
    Relu,
    Tanh,
    Gelu,
    Sigmoid,
}

/// Losses by name; PyTorch's definitions, a row's loss being the mean over its outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LossKind {
    /// For scores, one per class, and the index of the class.
    CrossEntropy,
    /// For scores and labels between 0 and 1, for each output.
    Bce,
    /// Squared error.
    Mse,
    /// Absolute error.
    Mae,
    /// Squared near 0, absolute beyond `huber_delta`.
    Huber,
    /// For pairs: each row's own partner against the partners of the other rows (see `loss`).
    Contrastive,
}

/// The optimizer and its settings, by PyTorch's names. Estimators have no parameters for the optional ones: they have PyTorch's defaults.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "the names are PyTorch's")]
pub struct OptimizerSpec {
    pub name: OptimizerName,
    pub lr: f64,
    pub momentum: f64,
    pub nesterov: bool,
    pub beta1: Option<f64>,
    pub beta2: Option<f64>,
    pub eps: Option<f64>,
    pub alpha: Option<f64>,
    pub weight_decay: f64,
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
        OptimizerOptions {
            kind,
            lr: self.lr,
            momentum: self.momentum,
            nesterov: self.nesterov,
            beta1: self.beta1.unwrap_or(0.9),
            beta2: self.beta2.unwrap_or(0.999),
            eps: self.eps.unwrap_or(1e-8),
            alpha: self.alpha.unwrap_or(0.99),
            weight_decay: self.weight_decay,
        }
    }
}

/// How the learning rate changes, step by step; see `schedule`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScheduleSpec {
    /// Its shape after the warm-up.
    pub name: ScheduleName,
    /// Steps over which the rate first grows from near 0 to its full height.
    pub warmup_steps: u64,
    /// For `step`: epochs between two changes. For `plateau`: epochs without improvement before a change.
    pub step_epochs: u64,
    /// For `step` and `plateau`: the factor at each change.
    pub gamma: f64,
}

/// Shapes of the learning rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names are PyTorch's")]
pub enum ScheduleName {
    Constant,
    Step,
    Linear,
    Cosine,
    OneCycle,
    Plateau,
}

/// Of forward passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Precision {
    F32,
    Bf16,
}

/// Random changes of training images, drawn again for each row and epoch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AugmentSpec {
    /// Mirror half of the images left to right.
    pub flip: bool,
    /// Shift by up to this many pixels in each direction; the edge's pixels fill the rest.
    pub shift: usize,
    /// Change brightness and contrast by up to this share.
    pub color_jitter: f64,
}

/// The evaluation on validation rows after each epoch.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidationSpec {
    /// The metric that decides which epoch is best.
    pub metric: MetricName,
    /// Stop after this many epochs without improvement. None: never.
    pub patience: Option<usize>,
    /// The least difference that counts as an improvement.
    pub min_delta: f64,
    /// Whether the best epoch's parameters are the result, rather than the last's.
    pub restore_best: bool,
}

/// Metrics by name; see `metrics`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum MetricName {
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

    /// A value of this metric such that less is better.
    pub(crate) fn cost(self, value: f64) -> f64 {
        if matches!(self, Self::Accuracy | Self::Auc | Self::F1) { -value } else { value }
    }
}

impl ValidationSpec {
    /// Whether a cost (see [`MetricName::cost`]) is so much less than the best before, which is infinite at first.
    pub(crate) fn improves(&self, cost: f64, best: f64) -> bool {
        cost.is_finite() && cost < best - self.min_delta
    }
}

impl TrainingSpec {
    /// Rejects zeros that would be divided by, and a missing program. The bounds of values are those of the estimators' parameters.
    pub(crate) fn check(&self) -> Result<(), EngineError> {
        let refuse = |text: String| Err(EngineError::BadRequest(text));
        if self.batch_rows == 0 {
            return refuse("batchSize must be at least 1".into());
        }
        if self.steps_per_epoch == Some(0) {
            return refuse("stepsPerEpoch must be at least 1".into());
        }
        if self.micro_batch_rows == Some(0) {
            return refuse("microBatchSize must be at least 1".into());
        }
        if self.checkpoint_steps == Some(0) || self.checkpoint_epochs == Some(0) {
            return refuse("checkpoint intervals must be at least 1".into());
        }
        if self.pair_inputs.is_empty() == (self.loss == LossKind::Contrastive) {
            return refuse("pairs go with the loss contrastive, and with no other".into());
        }
        match (&self.program.head, &self.program.package) {
            (Some(_), None) if self.loss == LossKind::Contrastive => refuse("a head has no pairs".into()),
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
        Ok(())
    }
}

//! Losses: the weighted sum over rows, which a worker back-propagates.
//!
//! Definitions are PyTorch's. A row's loss is the mean over its outputs; the loss of a batch is the sum of `weight × loss`
//! over its rows, divided by the sum of weights. A row's weight is its own times its class's. With label smoothing PyTorch
//! weighs the smoothed part class by class, so for cross-entropy class weights go into the operator.
//!
//! `contrastive` is InfoNCE (van den Oord et al., 2018), in the form of sentence-transformers' `MultipleNegativesRankingLoss`. A row's scores
//! are the cosines of its output and the outputs of all partners in the pass, divided by the temperature. Its loss is the cross-entropy of
//! these scores; the right class is its own partner.

use flambeau_engine::package::Dtype;
use flambeau_engine::{EngineError, RowError};
use tch::{Kind, Reduction, TchError, Tensor};

use super::dataset::{Labels, RowColumns};
use super::spec::{LossKind, TrainingSpec};

/// The targets of some rows.
pub(super) struct Target {
    /// i64 classes `[n]`, or values `[n, k]`, shaped as the label is: f64 for an output of f64, otherwise f32.
    pub(super) tensor: Tensor,
    /// `[n]` of that type; None: all 1.
    pub(super) weights: Option<Tensor>,
    /// The divisor of the rows' losses, summed over the rows.
    pub(super) weight_sum: f64,
}

/// See the module.
pub(super) struct Loss {
    pub(super) kind: LossKind,
    outputs: usize,
    class_weights: Option<Vec<f64>>,
    class_tensor: Option<Tensor>,
    smoothing: f64,
    delta: f64,
    temperature: f64,
    /// The type of targets, of rows' losses, and of outputs when they are compared with targets.
    real: Kind,
}

impl Loss {
    /// For a program with `outputs` values per row, of this type.
    pub(super) fn new(spec: &TrainingSpec, outputs: usize, dtype: Dtype) -> Result<Self, EngineError> {
        let refuse = |text: String| Err(EngineError::BadRequest(text));
        let expected = match spec.loss {
            LossKind::CrossEntropy => outputs,
            LossKind::Bce => 2,
            _ => 0,
        };
        if spec.loss == LossKind::Contrastive && spec.class_weights.is_some() {
            return refuse("classWeights do not go with the loss contrastive, which has no classes".into());
        }
        if let Some(weights) = &spec.class_weights
            && weights.len() != expected
        {
            return refuse(format!("classWeights has {} values; this loss takes {expected}", weights.len()));
        }
        if spec.loss == LossKind::CrossEntropy && outputs < 2 && spec.program.loss_method.is_none() {
            return refuse("cross-entropy needs at least 2 classes".into());
        }
        let of_classes = spec.class_weights.as_ref().filter(|_| spec.loss == LossKind::CrossEntropy);
        let real = if dtype == Dtype::F64 { Kind::Double } else { Kind::Float };
        let class_tensor = of_classes.map(|w| Tensor::f_from_slice(w)?.f_to_kind(real)).transpose();
        let class_tensor = class_tensor.map_err(|error| EngineError::torch("training", error))?;
        Ok(Self {
            kind: spec.loss,
            outputs,
            class_weights: spec.class_weights.clone(),
            class_tensor,
            smoothing: spec.label_smoothing,
            delta: spec.huber_delta,
            temperature: spec.temperature,
            real,
        })
    }

    /// Whether labels are class indices.
    pub(super) fn is_classes(&self) -> bool {
        self.kind == LossKind::CrossEntropy
    }

    /// Checks that these rows' labels can be learned with this loss.
    pub(super) fn check(&self, rows: &RowColumns) -> Result<(), EngineError> {
        let refuse = |text: String| Err(EngineError::BadRequest(text));
        let outputs = self.outputs;
        let labels = &rows.labels;
        match (self.kind, labels) {
            (LossKind::Contrastive, _) => return Ok(()),
            (LossKind::CrossEntropy, Labels::Arrays(_)) => {
                return refuse("cross-entropy takes one class per row, not a vector; use bce for several labels per row".into());
            }
            (LossKind::CrossEntropy, Labels::Scalars(_)) => {
                let cause = |value| format!("labels must be whole numbers in 0..{outputs}; there is {value}");
                return blamed(rows, labels.find(|v| v.fract() != 0.0 || v < 0.0 || v >= outputs as f64), cause);
            }
            (_, Labels::Scalars(values)) if outputs != 1 && !values.is_empty() => {
                return refuse(format!(
                    "the program returns {outputs} values per row, but a label is one value; use labels of {outputs} values"
                ));
            }
            (_, Labels::Arrays(dense)) if dense.width != outputs && dense.len() > 0 => {
                return refuse(format!("labels have {} values, the program gives {outputs}", dense.width));
            }
            _ => (),
        }
        let cause = |value| format!("labels of bce must be between 0 and 1; there is {value}");
        blamed(rows, labels.find(|v| self.kind == LossKind::Bce && !(0.0..=1.0).contains(&v)), cause)
    }

    /// Whether a loss of the program's own gets these labels as they are: whole numbers (ids) may be too large for f32.
    pub(super) fn check_own(&self, rows: &RowColumns) -> Result<(), EngineError> {
        let changed = |v: f64| self.real == Kind::Float && v.fract() == 0.0 && f64::from(v as f32) != v;
        let cause = |value| {
            format!(
                "the label {value} is a whole number that f32 cannot hold, and the program's loss gets labels as f32: give numbers below 2^24, or declare the output as f64"
            )
        };
        blamed(rows, rows.labels.find(changed), cause)
    }

    /// The weight of a row's class; 1 if the loss is not over classes, or they have no weights. The loss of each row includes it.
    pub(super) fn class_factor(&self, labels: &Labels, row: u32) -> f64 {
        match (&self.class_weights, labels) {
            (Some(of_class), Labels::Scalars(values)) if self.is_classes() => of_class[values[row as usize] as usize],
            _ => 1.0,
        }
    }

    /// The factors of `-log softmax` in cross-entropy over this many classes.
    pub(super) fn class_weighing(&self, classes: usize) -> ClassWeighing<'_> {
        ClassWeighing { weights: self.class_weights.as_deref(), smoothing: self.smoothing, classes }
    }

    /// The weight of a row in a mean, as in the losses: rounded to f32.
    pub(super) fn row_weight(&self, labels: &Labels, weights: Option<&[f64]>, row: u32) -> f64 {
        let own = weights.map_or(1.0, |w| w[row as usize]);
        let factor = match (&self.class_weights, labels) {
            (Some(of_class), Labels::Scalars(values)) if !self.is_classes() => of_class[usize::from(values[row as usize] >= 0.5)],
            _ => self.class_factor(labels, row),
        };
        f64::from((own * factor) as f32)
    }

    /// Targets of these rows.
    pub(super) fn target(&self, labels: &Labels, weights: Option<&[f64]>, rows: &[u32]) -> Result<Target, TchError> {
        let own = |row: u32| weights.map_or(1.0, |w| w[row as usize]);
        let n = rows.len() as i64;
        let mut factors: Option<Vec<f64>> = weights.map(|_| rows.iter().map(|r| own(*r)).collect());
        let mut weight_sum: f64 = factors.as_ref().map_or(rows.len() as f64, |w| w.iter().sum());
        let tensor = match labels {
            Labels::Scalars(values) if self.is_classes() => {
                let classes: Vec<i64> = rows.iter().map(|r| values[*r as usize] as i64).collect();
                if self.class_weights.is_some() {
                    weight_sum = rows.iter().map(|r| own(*r) * self.class_factor(labels, *r)).sum();
                }
                Tensor::f_from_slice(&classes)?
            }
            Labels::Scalars(values) => {
                if let Some(of_class) = &self.class_weights {
                    let weighed: Vec<f64> = rows.iter().map(|r| own(*r) * of_class[usize::from(values[*r as usize] >= 0.5)]).collect();
                    weight_sum = weighed.iter().sum();
                    factors = Some(weighed);
                }
                let values: Vec<f64> = rows.iter().map(|r| values[*r as usize]).collect();
                Tensor::f_from_slice(&values)?.f_to_kind(self.real)?.f_view([n, 1])?
            }
            Labels::Arrays(dense) => dense.gather(rows)?.f_to_kind(self.real)?,
        };
        let weights = factors.map(|f| Tensor::f_from_slice(&f).and_then(|t| t.f_to_kind(self.real))).transpose()?;
        Ok(Target { tensor, weights, weight_sum })
    }

    /// The weighted sum of the rows' losses, a scalar with its history. `output`: `[n, k]`, or `[n]` if k is 1.
    pub(super) fn sum(&self, output: &Tensor, target: &Target) -> Result<Tensor, TchError> {
        let output = output.f_to_kind(self.real)?;
        if self.kind == LossKind::Contrastive {
            let each = self.contrastive(&output)?;
            return target.weights.as_ref().map_or_else(|| each.f_sum(self.real), |weights| each.f_dot(weights));
        }
        let target_tensor = &flat(&target.tensor)?;
        let output = if self.is_classes() { output } else { output.f_reshape(target_tensor.size())? };
        match &target.weights {
            None => {
                let sum = self.apply(&output, target_tensor, Reduction::Sum)?;
                if self.is_classes() || self.outputs == 1 { Ok(sum) } else { sum.f_div_scalar(self.outputs as f64) }
            }
            Some(weights) => {
                let each = self.apply(&output, target_tensor, Reduction::None)?;
                let rows = if self.is_classes() { each } else { each.f_mean_dim([1_i64].as_slice(), false, self.real)? };
                rows.f_dot(weights)
            }
        }
    }

    /// The loss of each row, f32 `[n]` with its history, without the rows' weights; with those of classes.
    pub(super) fn each(&self, output: &Tensor, target: &Tensor) -> Result<Tensor, TchError> {
        if self.is_classes() {
            return self.apply(output, target, Reduction::None);
        }
        if self.kind == LossKind::Contrastive {
            return self.contrastive(output);
        }
        let target = &flat(target)?;
        self.apply(&output.f_reshape(target.size())?, target, Reduction::None)?.f_mean_dim([1_i64].as_slice(), false, self.real)
    }

    fn apply(&self, output: &Tensor, target: &Tensor, reduction: Reduction) -> Result<Tensor, TchError> {
        match self.kind {
            LossKind::CrossEntropy => output.f_cross_entropy_loss(target, self.class_tensor.as_ref(), reduction, -100, self.smoothing),
            LossKind::Bce => output.f_binary_cross_entropy_with_logits(target, None::<Tensor>, None::<Tensor>, reduction),
            LossKind::Mse => output.f_mse_loss(target, reduction),
            LossKind::Mae => output.f_l1_loss(target, reduction),
            LossKind::Huber => output.f_huber_loss(target, reduction, self.delta),
            LossKind::Contrastive => Err(TchError::Torch("a contrastive loss has no targets".into())),
        }
    }

    /// The loss of each row, `[n]`, of the outputs of rows and of their partners, `[n, 2 d]`.
    fn contrastive(&self, output: &Tensor) -> Result<Tensor, TchError> {
        let scores = similarities(output)?.f_div_scalar(self.temperature)?;
        let own = Tensor::f_arange(scores.size()[0], (Kind::Int64, scores.device()))?;
        scores.f_cross_entropy_loss(&own, None::<Tensor>, Reduction::None, -100, 0.0)
    }
}

/// The cosine of each row's output and each partner's, `[n, n]`, of the outputs of both, `[n, 2 d]`.
pub(super) fn similarities(output: &Tensor) -> Result<Tensor, TchError> {
    /// As in `torch.nn.functional.normalize`.
    const LEAST_NORM: f64 = 1e-12;
    let halves = output.f_chunk(2, 1)?;
    let unit = |one: &Tensor| {
        let norm = one.f_norm_scalaropt_dim(2.0, [1_i64].as_slice(), true)?;
        one.f_div(&norm.f_clamp_min(LEAST_NORM)?)
    };
    unit(&halves[0])?.f_matmul(&unit(&halves[1])?.f_transpose(0, 1)?)
}

/// See [`Loss::class_weighing`].
pub(super) struct ClassWeighing<'a> {
    weights: Option<&'a [f64]>,
    smoothing: f64,
    classes: usize,
}

impl ClassWeighing<'_> {
    /// Writes a row's factors, class by class.
    pub(super) fn wanted(&self, label: usize, factors: &mut [f32]) {
        let weight = |class: usize| self.weights.map_or(1.0, |w| w[class]);
        for (class, factor) in factors.iter_mut().enumerate() {
            let own = if class == label { 1.0 - self.smoothing } else { 0.0 };
            *factor = (weight(class) * (own + self.smoothing / self.classes as f64)) as f32;
        }
    }
}

/// An error of the row with this label, if there is one; the row is named by its id.
fn blamed(rows: &RowColumns, found: Option<(usize, f64)>, cause: impl Fn(f64) -> String) -> Result<(), EngineError> {
    let Some((row, value)) = found else { return Ok(()) };
    let row = usize::try_from(rows.id(row)).unwrap_or(usize::MAX);
    Err(EngineError::BadInput { row, input: String::new(), error: RowError::Training(cause(value)) })
}

/// A row's values in one dimension.
fn flat(target: &Tensor) -> Result<Tensor, TchError> {
    if target.dim() > 2 { target.f_flatten(1, -1) } else { Ok(target.shallow_clone()) }
}

//! One step's forward and backward pass of heads, operator by operator: of one head, or of several over the same rows.
//!
//! A head's step takes less time than autograd's bookkeeping for it, so gradients are computed by hand: the products are
//! libtorch's, activations' derivatives too; the loss and its slope come from `slope`. The first layers of all heads are one
//! product over all rows, the others a batched one. Tested against autograd, and against each head by itself.
//!
//! It owns views of the parameters and of the gradients, which it overwrites or adds to. Used by the task's thread.

use tch::{TchError, Tensor};

use super::feed::RowColumns;
use super::head::{self, Noise, activated, mask};
use super::loss::Loss;
use super::slope;
use super::spec::{HeadActivation, HeadSpec};

/// See the module.
pub(super) struct HeadPass {
    spec: HeadSpec,
    heads: i64,
    layers: Vec<Layer>,
}

/// Weights `[heads, out, in]`, biases `[heads, out]`, and where their gradients go.
struct Layer {
    weight: Tensor,
    bias: Tensor,
    weight_slope: Tensor,
    bias_slope: Tensor,
}

/// The inputs of one pass.
pub(super) struct Lesson<'a> {
    /// `[n, inputs]`.
    pub(super) input: &'a Tensor,
    pub(super) columns: &'a RowColumns,
    /// Rows of the feed, n of them.
    pub(super) rows: &'a [u32],
    pub(super) noise: Noise<'a>,
    pub(super) loss: &'a Loss,
    /// Whether gradients are added to the existing ones.
    pub(super) adds: bool,
    /// Whether gradients are divided by the rows' sum of weights.
    pub(super) means: bool,
}

/// A hidden layer's values, as the backward pass needs them: `[heads, n, width]`.
struct Hidden {
    /// Before the activation.
    raw: Tensor,
    active: Tensor,
    /// After dropout: the input of the next layer.
    given: Tensor,
    mask: Option<Tensor>,
}

impl HeadPass {
    /// `values` and `gradients`: `[heads, width]`, a row for each head with its layers one after another, and perhaps more behind.
    pub(super) fn new(spec: &HeadSpec, values: &Tensor, gradients: &Tensor) -> Result<Self, TchError> {
        let heads = values.size()[0];
        let mut at = 0;
        let mut views = |shape: &[i64]| {
            let size: Vec<i64> = std::iter::once(heads).chain(shape.iter().copied()).collect();
            let length = shape.iter().product::<i64>();
            let of = |all: &Tensor| all.f_detach()?.f_narrow(1, at, length)?.f_view(size.as_slice());
            let found = (of(values)?, of(gradients)?);
            at += length;
            Ok::<_, TchError>(found)
        };
        let mut layers = Vec::new();
        for (fan_in, fan_out) in head::widths(spec) {
            let (weight, weight_slope) = views(&[fan_out as i64, fan_in as i64])?;
            let (bias, bias_slope) = views(&[fan_out as i64])?;
            layers.push(Layer { weight, bias, weight_slope, bias_slope });
        }
        Ok(Self { spec: spec.clone(), heads, layers })
    }

    /// Back-propagates. Returns the sum of each head's losses over the rows, and the rows' sum of weights.
    pub(super) fn learn(&self, lesson: &Lesson<'_>) -> Result<(Vec<f64>, f64), TchError> {
        let _no_grad = tch::no_grad_guard();
        self.both_ways(lesson)
    }

    fn both_ways(&self, lesson: &Lesson<'_>) -> Result<(Vec<f64>, f64), TchError> {
        let n = lesson.rows.len() as i64;
        let first = &self.layers[0];
        let size = first.weight.size();
        let (width, fan_in) = (size[1], size[2]);
        // All heads take the same rows: one product, `[n, heads × width]`.
        let weight = first.weight.f_reshape([self.heads * width, fan_in])?;
        let bias = first.bias.f_reshape([self.heads * width])?;
        let side_by_side = lesson.input.f_linear(&weight, Some(&bias))?;
        let (losses, weight_sum, mut slope) = if self.layers.len() == 1 {
            let found = slope::of(lesson, &side_by_side.f_view([n, self.heads, width])?, slope::Order::Rows)?;
            (found.losses, found.weight_sum, found.slope)
        } else {
            let hidden = self.hidden(side_by_side.f_view([n, self.heads, width])?.f_transpose(0, 1)?, lesson)?;
            let last = &self.layers[self.layers.len() - 1];
            let output = product(&hidden[hidden.len() - 1].given, last)?;
            let found = slope::of(lesson, &output, slope::Order::Heads)?;
            let slope = self.back_to_first(&hidden, found.slope, lesson.adds)?;
            (found.losses, found.weight_sum, slope.f_transpose(0, 1)?.f_contiguous()?)
        };
        slope = slope.f_view([n, self.heads * width])?;
        let of_weight = slope.f_transpose(0, 1)?.f_mm(lesson.input)?.f_view([self.heads, width, fan_in])?;
        let of_bias = slope.f_sum_dim_intlist([0_i64].as_slice(), false, tch::Kind::Float)?.f_view([self.heads, width])?;
        first.put(&of_weight, &of_bias, lesson.adds)?;
        Ok((losses, weight_sum))
    }

    /// All hidden layers' values, from the first one's before its activation.
    fn hidden(&self, first: Tensor, lesson: &Lesson<'_>) -> Result<Vec<Hidden>, TchError> {
        let mut all: Vec<Hidden> = Vec::new();
        for (i, width) in self.spec.hidden.iter().enumerate() {
            let raw = match all.last() {
                None => first.shallow_clone(),
                Some(before) => product(&before.given, &self.layers[i])?,
            };
            let active = activated(self.spec.activation, &raw)?;
            let mask = if self.spec.dropout > 0.0 { Some(mask(&lesson.noise, i, *width, self.spec.dropout)?) } else { None };
            let given = match &mask {
                Some(mask) => active.f_mul(mask)?,
                None => active.shallow_clone(),
            };
            all.push(Hidden { raw, active, given, mask });
        }
        Ok(all)
    }

    /// From the outputs' slope to that of the first layer, `[heads, n, width]`; writes the gradients of the layers between.
    fn back_to_first(&self, hidden: &[Hidden], mut slope: Tensor, adds: bool) -> Result<Tensor, TchError> {
        for (layer, before) in self.layers[1..].iter().zip(hidden).rev() {
            let of_weight = slope.f_transpose(1, 2)?.f_bmm(&before.given)?;
            let of_bias = slope.f_sum_dim_intlist([1_i64].as_slice(), false, tch::Kind::Float)?;
            let mut back = slope.f_bmm(&layer.weight)?;
            layer.put(&of_weight, &of_bias, adds)?;
            if let Some(mask) = &before.mask {
                back = back.f_mul(mask)?;
            }
            slope = match self.spec.activation {
                HeadActivation::Relu => before.active.f_threshold_backward(&back, 0)?,
                HeadActivation::Tanh => Tensor::f_tanh_backward(&back, &before.active)?,
                HeadActivation::Gelu => before.raw.f_gelu_backward(&back, "none")?,
                HeadActivation::Sigmoid => Tensor::f_sigmoid_backward(&back, &before.active)?,
            };
        }
        Ok(slope)
    }
}

impl Layer {
    fn put(&self, of_weight: &Tensor, of_bias: &Tensor, adds: bool) -> Result<(), TchError> {
        for (place, found) in [(&self.weight_slope, of_weight), (&self.bias_slope, of_bias)] {
            let mut place = place.shallow_clone();
            if adds {
                let _ = place.f_add_(found)?;
            } else {
                place.f_copy_(found)?;
            }
        }
        Ok(())
    }
}

/// `[heads, n, in]` to `[heads, n, out]`.
fn product(x: &Tensor, layer: &Layer) -> Result<Tensor, TchError> {
    layer.bias.f_unsqueeze(1)?.f_baddbmm(x, &layer.weight.f_transpose(1, 2)?, 1.0, 1.0)
}

//! Dense heads, one or many, forward and backward: the only place where a head's layers are computed.
//!
//! Heads of one shape are batched: weights `[heads, out, in]`, one batched product for each layer. One head, or the parameter maps
//! of a fit, have shared rows: then the first layers are one product over all rows. The heads of groups each have their own rows.
//!
//! A head's step takes less time than autograd's bookkeeping for it, so gradients are computed by hand: the products are
//! libtorch's, activations' derivatives too; the loss and its gradient come from `loss_gradient`. Tested against autograd, and against each
//! head by itself.
//!
//! It owns views of the parameters and of the gradients, which it overwrites or adds to. Used by the task's thread.

use tch::{TchError, Tensor};

use super::head::{self, DropoutKey, activated, mask};
use super::loss_gradient::{self, Layout, LossRows};
use super::spec::{HeadActivation, HeadSpec};

/// See the module.
pub(super) struct BatchedHeads {
    spec: HeadSpec,
    heads: i64,
    layers: Vec<Layer>,
}

/// Weights `[heads, out, in]`, biases `[heads, out]`, and their gradients.
struct Layer {
    weight: Tensor,
    bias: Tensor,
    weight_gradient: Tensor,
    bias_gradient: Tensor,
}

/// Features of the rows of a pass.
pub(super) enum Features<'a> {
    /// All heads the same: `[n, inputs]`.
    Shared(&'a Tensor),
    /// Each its own: `[heads, n, inputs]`.
    Own(&'a Tensor),
}

/// All layers' values for some rows.
struct Values {
    hidden: Vec<Hidden>,
    output: Tensor,
    /// Of the output's dimensions.
    layout: Layout,
}

/// A hidden layer's values, for the backward pass: `[heads, n, width]`.
struct Hidden {
    /// Before the activation.
    raw: Tensor,
    active: Tensor,
    /// After dropout: the input of the next layer.
    given: Tensor,
    mask: Option<Tensor>,
}

impl BatchedHeads {
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
            let (weight, weight_gradient) = views(&[fan_out as i64, fan_in as i64])?;
            let (bias, bias_gradient) = views(&[fan_out as i64])?;
            layers.push(Layer { weight, bias, weight_gradient, bias_gradient });
        }
        Ok(Self { spec: spec.clone(), heads, layers })
    }

    /// One head's outputs as in inference: `[n, inputs]` to `[n, outputs]`.
    pub(super) fn predict(&self, input: &Tensor) -> Result<Tensor, TchError> {
        let _no_grad = tch::no_grad_guard();
        self.forward(&Features::Shared(input), None)?.output.f_view([-1, self.spec.outputs as i64])
    }

    /// Back-propagates. Gradients are added to the existing ones, or replace them. Returns each head's loss as `rows` defines it, and the rows'
    /// sum of weights.
    ///
    /// `dropout`: for rows that are shared.
    pub(super) fn forward_backward(
        &self,
        features: &Features<'_>,
        rows: &LossRows<'_>,
        dropout: Option<&DropoutKey<'_>>,
        adds: bool,
    ) -> Result<(Vec<f64>, f64), TchError> {
        let _no_grad = tch::no_grad_guard();
        let values = self.forward(features, dropout)?;
        let found = loss_gradient::of(rows, &values.output, values.layout)?;
        self.backward(features, &values, found.gradient, adds)?;
        Ok((found.losses, found.weight_sum))
    }

    fn forward(&self, features: &Features<'_>, dropout: Option<&DropoutKey<'_>>) -> Result<Values, TchError> {
        let first = &self.layers[0];
        let (first, layout) = match features {
            Features::Shared(input) => {
                // One product, `[n, heads × width]`.
                let size = first.weight.size();
                let weight = first.weight.f_reshape([self.heads * size[1], size[2]])?;
                let bias = first.bias.f_reshape([self.heads * size[1]])?;
                (input.f_linear(&weight, Some(&bias))?.f_view([-1, self.heads, size[1]])?, Layout::RowsFirst)
            }
            Features::Own(input) => (product(input, first)?, Layout::HeadsFirst),
        };
        if self.layers.len() == 1 {
            return Ok(Values { hidden: Vec::new(), output: first, layout });
        }
        let mut raw = if layout == Layout::RowsFirst { first.f_transpose(0, 1)? } else { first };
        let mut hidden = Vec::new();
        for (i, next) in self.layers[1..].iter().enumerate() {
            let active = activated(self.spec.activation, &raw)?;
            let mask = match dropout.filter(|_| self.spec.dropout > 0.0) {
                Some(key) => Some(mask(key, i, self.spec.hidden[i], self.spec.dropout)?),
                None => None,
            };
            let given = match &mask {
                Some(mask) => active.f_mul(mask)?,
                None => active.shallow_clone(),
            };
            let output = product(&given, next)?;
            hidden.push(Hidden { raw, active, given, mask });
            raw = output;
        }
        Ok(Values { hidden, output: raw, layout: Layout::HeadsFirst })
    }

    /// From the outputs' gradient, laid out as they are, to the gradients of all layers.
    fn backward(&self, features: &Features<'_>, values: &Values, mut gradient: Tensor, adds: bool) -> Result<(), TchError> {
        for (layer, before) in self.layers[1..].iter().zip(&values.hidden).rev() {
            let mut back = gradient.f_bmm(&layer.weight)?;
            layer.put_own(&gradient, &before.given, adds)?;
            if let Some(mask) = &before.mask {
                back = back.f_mul(mask)?;
            }
            gradient = match self.spec.activation {
                HeadActivation::Relu => before.active.f_threshold_backward(&back, 0)?,
                HeadActivation::Tanh => Tensor::f_tanh_backward(&back, &before.active)?,
                HeadActivation::Gelu => before.raw.f_gelu_backward(&back, "none")?,
                HeadActivation::Sigmoid => Tensor::f_sigmoid_backward(&back, &before.active)?,
            };
        }
        let first = &self.layers[0];
        match features {
            Features::Own(input) => first.put_own(&gradient, input, adds),
            Features::Shared(input) => {
                let size = first.weight.size();
                let (width, fan_in) = (size[1], size[2]);
                let by_row = if values.hidden.is_empty() { gradient } else { gradient.f_transpose(0, 1)?.f_contiguous()? };
                let by_row = by_row.f_view([-1, self.heads * width])?;
                let of_weight = by_row.f_transpose(0, 1)?.f_mm(input)?.f_view([self.heads, width, fan_in])?;
                let of_bias = by_row.f_sum_dim_intlist([0_i64].as_slice(), false, tch::Kind::Float)?.f_view([self.heads, width])?;
                first.put(&of_weight, &of_bias, adds)
            }
        }
    }
}

impl Layer {
    /// From the gradient of each head's outputs, `[heads, n, out]`, and what the layer took, `[heads, n, in]`.
    fn put_own(&self, gradient: &Tensor, given: &Tensor, adds: bool) -> Result<(), TchError> {
        let of_weight = gradient.f_transpose(1, 2)?.f_bmm(given)?;
        let of_bias = gradient.f_sum_dim_intlist([1_i64].as_slice(), false, tch::Kind::Float)?;
        self.put(&of_weight, &of_bias, adds)
    }

    fn put(&self, of_weight: &Tensor, of_bias: &Tensor, adds: bool) -> Result<(), TchError> {
        for (place, found) in [(&self.weight_gradient, of_weight), (&self.bias_gradient, of_bias)] {
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

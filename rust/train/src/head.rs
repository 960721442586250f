//! Heads: linear layers with an activation and dropout between them.
//!
//! A head begins as `torch.nn.Sequential(Linear, …)` does after `torch.manual_seed(seed)`: kaiming-uniform weights with
//! a = sqrt 5, biases within 1 / sqrt(fan_in), from PyTorch's generator. `batched_heads` computes
//! its layers. A TorchScript module shares the parameters and is saved.
//!
//! Dropout draws a number for each value from seed, step, place in the global batch, layer and unit: the same whatever the
//! number of workers, and after a resume.

use flambeau_engine::{EngineError, memory};
use flambeau_torch_ext::{Generator, Trainable};
use tch::{TchError, Tensor};

use super::random::Stream;
use super::spec::{HeadActivation, HeadSpec};

/// Purpose of the stream of random numbers.
const PURPOSE: u64 = 2;

/// The name of a head in messages.
pub(super) const NAME: &str = "head";

/// The key of dropout's random numbers, besides layer and unit.
pub(super) struct DropoutKey<'a> {
    pub(super) seed: u64,
    pub(super) step: u64,
    /// Places in the global batch.
    pub(super) positions: &'a [u32],
}

/// Inputs and outputs of each layer.
pub(super) fn widths(spec: &HeadSpec) -> Vec<(usize, usize)> {
    let all: Vec<usize> = std::iter::once(spec.inputs).chain(spec.hidden.iter().copied()).chain([spec.outputs]).collect();
    all.windows(2).map(|pair| (pair[0], pair[1])).collect()
}

/// Weight `[out, in]` and bias `[out]` of each layer of a fresh head.
pub(super) fn first_layers(spec: &HeadSpec, seed: u64) -> Result<Vec<(Tensor, Tensor)>, EngineError> {
    let fail = |error: flambeau_torch_ext::TorchError| EngineError::torch(NAME, error);
    let mut generator = Generator::new(seed).map_err(fail)?;
    let mut layers = Vec::new();
    for (fan_in, fan_out) in widths(spec) {
        let empty = |shape: &[i64]| Tensor::f_empty(shape, (tch::Kind::Float, tch::Device::Cpu)).map_err(|e| fail(e.into()));
        let weight = empty(&[fan_out as i64, fan_in as i64])?;
        let bias = empty(&[fan_out as i64])?;
        let a = 5.0_f64.sqrt();
        let gain = (2.0 / (1.0 + a * a)).sqrt();
        let std = gain / (fan_in as f64).sqrt();
        generator.uniform(&weight, 3.0_f64.sqrt() * std).map_err(fail)?;
        generator.uniform(&bias, 1.0 / (fan_in as f64).sqrt()).map_err(fail)?;
        layers.push((weight, bias));
    }
    Ok(layers)
}

/// Between layers.
pub(super) fn activated(activation: HeadActivation, x: &Tensor) -> Result<Tensor, TchError> {
    match activation {
        HeadActivation::Relu => x.f_relu(),
        HeadActivation::Tanh => x.f_tanh(),
        HeadActivation::Gelu => x.f_gelu("none"),
        HeadActivation::Sigmoid => x.f_sigmoid(),
    }
}

/// A fresh head as a TorchScript module; its parameters are the layers' in their order.
pub(super) fn module(spec: &HeadSpec, seed: u64) -> Result<Trainable, EngineError> {
    let mut named = Vec::new();
    let layers = first_layers(spec, seed)?;
    let source = source(spec, layers.len());
    for (i, (weight, bias)) in layers.into_iter().enumerate() {
        named.push((format!("weight_{i}"), weight.set_requires_grad(true)));
        named.push((format!("bias_{i}"), bias.set_requires_grad(true)));
    }
    Trainable::define(&source, &named).map_err(|error| EngineError::torch(NAME, error))
}

/// The factors of dropout: 0, or 1 / (1 - p).
pub(super) fn mask(key: &DropoutKey, layer: usize, width: usize, p: f64) -> Result<Tensor, TchError> {
    let keep = (1.0 / (1.0 - p)) as f32;
    let threshold = (p * 2_f64.powi(64)) as u64;
    let shape = [key.positions.len() as i64, width as i64];
    let fill = |out: &mut [f32]| {
        let stream = Stream::of(&[key.seed, PURPOSE, key.step, layer as u64]);
        for (row, &place) in out.chunks_mut(width).zip(key.positions) {
            let first = u64::from(place) * width as u64;
            for (value, n) in row.iter_mut().zip(first..) {
                *value = if stream.at(n) < threshold { 0.0 } else { keep };
            }
        }
    };
    memory::filled(&shape, fill).map(|(tensor, ())| tensor)
}

/// The same as TorchScript, for saving.
fn source(spec: &HeadSpec, layers: usize) -> String {
    let activation = match spec.activation {
        HeadActivation::Relu => "torch.relu(x)",
        HeadActivation::Tanh => "torch.tanh(x)",
        HeadActivation::Gelu => "torch.gelu(x)",
        HeadActivation::Sigmoid => "torch.sigmoid(x)",
    };
    let mut text = String::from("def forward(self, x):\n");
    for i in 0..layers {
        text += &format!("    x = torch.linear(x, self.weight_{i}, self.bias_{i})\n");
        if i + 1 < layers {
            text += &format!("    x = {activation}\n");
            if spec.dropout > 0.0 {
                text += &format!("    x = torch.dropout(x, {:?}, self.training)\n", spec.dropout);
            }
        }
    }
    text + "    return x\n"
}

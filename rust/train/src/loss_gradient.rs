//! Losses of heads, and their gradients with respect to the heads' outputs: the start of a backward pass.
//!
//! Cross-entropy over few classes is computed here, row by row: libtorch's softmax takes ten times as long for rows of a few
//! numbers. All other losses are libtorch's, differentiated by it. Definitions are PyTorch's either way (see `loss`).

use flambeau_engine::memory;
use tch::{Kind, TchError, Tensor};

use super::dataset::{Labels, RowColumns};
use super::loss::Loss;

/// Maximum number of classes for cross-entropy here.
const FEW_CLASSES: usize = 64;

/// The first dimension in outputs of several heads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `[n, heads, k]`.
    RowsFirst,
    /// `[heads, n, k]`.
    HeadsFirst,
}

/// The rows of the losses.
pub(super) enum LossRows<'a> {
    /// The same for all heads. A head's loss is the weighted sum.
    Shared(SharedRows<'a>),
    /// For each head its own, n of them. A head's loss is the sum of its rows' losses, each times its share.
    Own {
        loss: &'a Loss,
        /// Of all heads' rows, head by head.
        target: &'a Tensor,
        /// f32 `[heads, n]`.
        shares: &'a Tensor,
    },
}

/// Rows of the dataset, the same for all heads.
pub(super) struct SharedRows<'a> {
    pub(super) loss: &'a Loss,
    pub(super) columns: &'a RowColumns,
    pub(super) rows: &'a [u32],
    /// Whether gradients are divided by the rows' sum of weights.
    pub(super) means: bool,
}

/// See the module.
pub(super) struct LossGradient {
    /// Of each head; see [`LossRows`].
    pub(super) losses: Vec<f64>,
    /// Turns a weighted sum into a mean; 1 if the losses are means.
    pub(super) weight_sum: f64,
    /// Shaped like the outputs, f32.
    pub(super) gradient: Tensor,
}

/// `outputs`: contiguous f32, in this layout.
pub(super) fn of(rows: &LossRows<'_>, outputs: &Tensor, layout: Layout) -> Result<LossGradient, TchError> {
    let shared = match rows {
        LossRows::Own { loss, target, shares } => return own(loss, target, shares, outputs),
        LossRows::Shared(shared) => shared,
    };
    let size = outputs.size();
    let (classes, heads) = (size[2] as usize, if layout == Layout::RowsFirst { size[1] } else { size[0] } as usize);
    match (&shared.columns.labels, memory::values::<f32>(outputs)) {
        (Labels::Scalars(labels), Some(values)) if shared.loss.is_classes() && classes <= FEW_CLASSES => {
            by_hand(shared, labels, values, Shape { size: &size, classes, heads, layout })
        }
        _ => by_libtorch(shared, outputs, heads, layout),
    }
}

struct Shape<'a> {
    size: &'a [i64],
    classes: usize,
    heads: usize,
    layout: Layout,
}

fn by_hand(shared: &SharedRows<'_>, labels: &[f64], outputs: &[f32], shape: Shape<'_>) -> Result<LossGradient, TchError> {
    let (rows, heads, classes) = (shared.rows, shape.heads, shape.classes);
    let weigh = shared.loss.class_weighing(classes);
    let of_row = |row: u32| shared.columns.weights.as_ref().map_or(1.0, |w| w[row as usize]);
    let weight_sum: f64 = rows.iter().map(|row| of_row(*row) * shared.loss.class_factor(&shared.columns.labels, *row)).sum();
    let divisor = if shared.means && weight_sum > 0.0 { weight_sum } else { 1.0 };
    let mut losses = vec![0.0; heads];
    let (gradient, ()) = memory::filled(shape.size, |gradients: &mut [f32]| {
        let mut wanted = vec![0_f32; classes];
        for (i, row) in rows.iter().enumerate() {
            let (class, own) = (labels[*row as usize] as usize, of_row(*row));
            weigh.wanted(class, &mut wanted);
            let factor = (own / divisor) as f32;
            for (head, loss) in losses.iter_mut().enumerate() {
                let place = if shape.layout == Layout::RowsFirst { i * heads + head } else { head * rows.len() + i };
                let range = place * classes..(place + 1) * classes;
                *loss += own * f64::from(cross_entropy(&outputs[range.clone()], &wanted, factor, &mut gradients[range]));
            }
        }
    })?;
    Ok(LossGradient { losses, weight_sum, gradient })
}

/// One row's loss, the sum of `wanted × -log softmax(scores)`; `gradients` becomes `factor ×` its gradient.
fn cross_entropy(scores: &[f32], wanted: &[f32], factor: f32, gradients: &mut [f32]) -> f32 {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (gradient, score) in gradients.iter_mut().zip(scores) {
        *gradient = (score - largest).exp();
        sum += *gradient;
    }
    let log_sum = largest + sum.ln();
    let (total, scale) = (wanted.iter().sum::<f32>(), 1.0 / sum);
    let mut loss = 0.0;
    for ((gradient, score), wanted) in gradients.iter_mut().zip(scores).zip(wanted) {
        *gradient = factor * (*gradient * scale * total - wanted);
        // Infinite scores of classes without weight add nothing.
        if *wanted != 0.0 {
            loss += wanted * (log_sum - score);
        }
    }
    // A NaN score of any class makes the loss NaN.
    if sum.is_finite() { loss } else { f32::NAN }
}

fn by_libtorch(shared: &SharedRows<'_>, outputs: &Tensor, heads: usize, layout: Layout) -> Result<LossGradient, TchError> {
    let (heads, n, k) = (heads as i64, shared.rows.len() as i64, outputs.size()[2]);
    let by_head = if layout == Layout::RowsFirst { outputs.f_transpose(0, 1)?.f_contiguous()? } else { outputs.shallow_clone() };
    let target = shared.loss.target(&shared.columns.labels, shared.columns.weights.as_deref(), shared.rows)?;
    let repeats: Vec<i64> = std::iter::once(heads).chain(std::iter::repeat_n(1, target.tensor.dim() - 1)).collect();
    let (losses, gradient) = differentiated(&by_head.f_view([heads * n, k])?, |leaf| {
        let each = shared.loss.each(leaf, &target.tensor.f_repeat(&repeats)?)?.f_view([heads, n])?;
        match &target.weights {
            None => each.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Float),
            Some(weights) => each.f_mv(weights),
        }
    })?;
    let mut gradient = gradient.f_view([heads, n, k])?;
    if shared.means && target.weight_sum > 0.0 {
        gradient = gradient.f_mul_scalar(1.0 / target.weight_sum)?;
    }
    let gradient = if layout == Layout::RowsFirst { gradient.f_transpose(0, 1)? } else { gradient }.f_contiguous()?;
    Ok(LossGradient { losses, weight_sum: target.weight_sum, gradient })
}

/// `outputs`: `[heads, n, k]`.
fn own(loss: &Loss, target: &Tensor, shares: &Tensor, outputs: &Tensor) -> Result<LossGradient, TchError> {
    let size = outputs.size();
    let values = (memory::values::<i64>(target), memory::values::<f32>(shares), memory::values::<f32>(outputs));
    if let (true, (Some(labels), Some(shares), Some(scores))) = (loss.is_classes() && size[2] <= FEW_CLASSES as i64, values) {
        return own_by_hand(loss, labels, shares, scores, &size);
    }
    let (losses, gradient) = differentiated(&outputs.f_view([size[0] * size[1], size[2]])?, |leaf| {
        let each = loss.each(leaf, target)?.f_view([size[0], size[1]])?;
        each.f_mul(shares)?.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)
    })?;
    Ok(LossGradient { losses, weight_sum: 1.0, gradient: gradient.f_view(size.as_slice())? })
}

/// `size`: heads, rows of a head, classes. Labels and shares are of all heads' rows, head by head.
fn own_by_hand(loss: &Loss, labels: &[i64], shares: &[f32], scores: &[f32], size: &[i64]) -> Result<LossGradient, TchError> {
    let (heads, rows, classes) = (size[0] as usize, size[1] as usize, size[2] as usize);
    let weigh = loss.class_weighing(classes);
    let mut losses = vec![0.0; heads];
    let (gradient, ()) = memory::filled(size, |gradients: &mut [f32]| {
        let mut wanted = vec![0_f32; classes];
        let places = scores.chunks_exact(classes).zip(gradients.chunks_exact_mut(classes));
        for (row, ((scores, gradients), (label, share))) in places.zip(labels.iter().zip(shares)).enumerate() {
            weigh.wanted(*label as usize, &mut wanted);
            losses[row / rows] += f64::from(share * cross_entropy(scores, &wanted, *share, gradients));
        }
    })?;
    Ok(LossGradient { losses, weight_sum: 1.0, gradient })
}

/// The losses of some outputs, and the gradient of their sum by the outputs.
fn differentiated(outputs: &Tensor, losses: impl FnOnce(&Tensor) -> Result<Tensor, TchError>) -> Result<(Vec<f64>, Tensor), TchError> {
    let leaf = outputs.f_detach()?.set_requires_grad(true);
    let (losses, gradient) = tch::with_grad(|| {
        let losses = losses(&leaf)?;
        let mut gradients = Tensor::f_run_backward(&[losses.f_sum(Kind::Float)?], &[&leaf], false, false)?;
        Ok::<_, TchError>((losses.f_detach()?, gradients.swap_remove(0)))
    })?;
    Ok((Vec::<f32>::try_from(losses)?.into_iter().map(f64::from).collect(), gradient))
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn loss_and_gradient_are_those_of_libtorch() {
        let scores = [0.5_f32, -1.25, 3.0];
        let wanted = [0.1_f32, 0.2, 1.7];
        let mut gradients = [0.0; 3];
        let loss = cross_entropy(&scores, &wanted, 0.5, &mut gradients);
        let leaf = Tensor::from_slice(&scores).set_requires_grad(true);
        let theirs = -(leaf.log_softmax(0, Kind::Float) * Tensor::from_slice(&wanted)).sum(Kind::Float);
        theirs.backward();
        assert!((loss - theirs.double_value(&[]) as f32).abs() < 1e-6);
        for (own, other) in gradients.iter().zip(Vec::<f32>::try_from(leaf.grad()).unwrap()) {
            assert!((own - 0.5 * other).abs() < 1e-6, "{own} {other}");
        }
    }

    #[test]
    fn scores_that_are_no_numbers_make_a_loss_that_is_none() {
        for bad in [f32::NAN, f32::INFINITY] {
            assert!(cross_entropy(&[0.0, bad], &[1.0, 0.0], 1.0, &mut [0.0; 2]).is_nan(), "{bad}");
        }
    }
}

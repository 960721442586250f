//! Losses of heads over the same rows, and their derivatives by the heads' outputs, where a backward pass begins.
//!
//! Cross-entropy over few classes is computed here, row by row: libtorch's softmax takes ten times as long over rows of a few
//! numbers. All other losses are libtorch's, differentiated by it. Definitions are PyTorch's either way (see `loss`).

use flambeau_engine::memory;
use tch::{Kind, TchError, Tensor};

use super::feed::Labels;
use super::pass::Lesson;

/// Maximum number of classes for cross-entropy here.
const FEW_CLASSES: usize = 64;

/// The first dimension in outputs of several heads.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// `[n, heads, k]`.
    Rows,
    /// `[heads, n, k]`.
    Heads,
}

/// See the module.
pub(super) struct Found {
    /// For each head: the weighted sum of the rows' losses.
    pub(super) losses: Vec<f64>,
    /// The divisor for the mean.
    pub(super) weight_sum: f64,
    /// Shaped like the outputs, f32.
    pub(super) slope: Tensor,
}

/// `outputs`: contiguous f32, in this order.
pub(super) fn of(lesson: &Lesson<'_>, outputs: &Tensor, order: Order) -> Result<Found, TchError> {
    let size = outputs.size();
    let (classes, heads) = (size[2] as usize, if order == Order::Rows { size[1] } else { size[0] } as usize);
    match (&lesson.columns.labels, memory::values::<f32>(outputs)) {
        (Labels::Scalars(labels), Some(values)) if lesson.loss.is_classes() && classes <= FEW_CLASSES => {
            by_hand(lesson, labels, values, Shape { size: &size, classes, heads, order })
        }
        _ => by_libtorch(lesson, outputs, heads, order),
    }
}

struct Shape<'a> {
    size: &'a [i64],
    classes: usize,
    heads: usize,
    order: Order,
}

fn by_hand(lesson: &Lesson<'_>, labels: &[f64], outputs: &[f32], shape: Shape<'_>) -> Result<Found, TchError> {
    let (rows, heads, classes) = (lesson.rows, shape.heads, shape.classes);
    let weigh = lesson.loss.class_weighing(classes);
    let of_row = |row: u32| lesson.columns.weights.as_ref().map_or(1.0, |w| w[row as usize]);
    let weight_sum: f64 = rows.iter().map(|row| of_row(*row) * lesson.loss.class_factor(&lesson.columns.labels, *row)).sum();
    let divisor = if lesson.means && weight_sum > 0.0 { weight_sum } else { 1.0 };
    let mut losses = vec![0.0; heads];
    let (slope, ()) = memory::filled(shape.size, |slopes: &mut [f32]| {
        let mut wanted = vec![0_f32; classes];
        for (i, row) in rows.iter().enumerate() {
            let (class, own) = (labels[*row as usize] as usize, of_row(*row));
            weigh.wanted(class, &mut wanted);
            let factor = (own / divisor) as f32;
            for (head, loss) in losses.iter_mut().enumerate() {
                let place = if shape.order == Order::Rows { i * heads + head } else { head * rows.len() + i };
                let range = place * classes..(place + 1) * classes;
                *loss += own * f64::from(cross_entropy(&outputs[range.clone()], &wanted, factor, &mut slopes[range]));
            }
        }
    })?;
    Ok(Found { losses, weight_sum, slope })
}

/// One row's loss, the sum of `wanted × -log softmax(scores)`; `slopes` becomes `factor ×` its gradient.
fn cross_entropy(scores: &[f32], wanted: &[f32], factor: f32, slopes: &mut [f32]) -> f32 {
    let largest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (slope, score) in slopes.iter_mut().zip(scores) {
        *slope = (score - largest).exp();
        sum += *slope;
    }
    let log_sum = largest + sum.ln();
    let (total, scale) = (wanted.iter().sum::<f32>(), 1.0 / sum);
    let mut loss = 0.0;
    for ((slope, score), wanted) in slopes.iter_mut().zip(scores).zip(wanted) {
        *slope = factor * (*slope * scale * total - wanted);
        // Infinite scores of classes without weight add nothing.
        if *wanted != 0.0 {
            loss += wanted * (log_sum - score);
        }
    }
    // A NaN score of any class makes the loss NaN.
    if sum.is_finite() { loss } else { f32::NAN }
}

fn by_libtorch(lesson: &Lesson<'_>, outputs: &Tensor, heads: usize, order: Order) -> Result<Found, TchError> {
    let (heads, n, k) = (heads as i64, lesson.rows.len() as i64, outputs.size()[2]);
    let by_head = if order == Order::Rows { outputs.f_transpose(0, 1)?.f_contiguous()? } else { outputs.shallow_clone() };
    let target = lesson.loss.target(&lesson.columns.labels, lesson.columns.weights.as_deref(), lesson.rows)?;
    let repeats: Vec<i64> = std::iter::once(heads).chain(std::iter::repeat_n(1, target.tensor.dim() - 1)).collect();
    let leaf = by_head.f_view([heads * n, k])?.f_detach()?.set_requires_grad(true);
    let (losses, slope) = tch::with_grad(|| {
        let each = lesson.loss.each(&leaf, &target.tensor.f_repeat(&repeats)?)?.f_view([heads, n])?;
        let losses = match &target.weights {
            None => each.f_sum_dim_intlist([1_i64].as_slice(), false, Kind::Float)?,
            Some(weights) => each.f_mv(weights)?,
        };
        let mut slopes = Tensor::f_run_backward(&[losses.f_sum(Kind::Float)?], &[&leaf], false, false)?;
        Ok::<_, TchError>((losses.f_detach()?, slopes.swap_remove(0)))
    })?;
    let mut slope = slope.f_view([heads, n, k])?;
    if lesson.means && target.weight_sum > 0.0 {
        slope = slope.f_mul_scalar(1.0 / target.weight_sum)?;
    }
    let slope = if order == Order::Rows { slope.f_transpose(0, 1)? } else { slope }.f_contiguous()?;
    let losses = Vec::<f32>::try_from(losses)?.into_iter().map(f64::from).collect();
    Ok(Found { losses, weight_sum: target.weight_sum, slope })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    #[test]
    fn loss_and_slope_are_those_of_libtorch() {
        let scores = [0.5_f32, -1.25, 3.0];
        let wanted = [0.1_f32, 0.2, 1.7];
        let mut slopes = [0.0; 3];
        let loss = cross_entropy(&scores, &wanted, 0.5, &mut slopes);
        let leaf = Tensor::from_slice(&scores).set_requires_grad(true);
        let theirs = -(leaf.log_softmax(0, Kind::Float) * Tensor::from_slice(&wanted)).sum(Kind::Float);
        theirs.backward();
        assert!((loss - theirs.double_value(&[]) as f32).abs() < 1e-6);
        for (own, other) in slopes.iter().zip(Vec::<f32>::try_from(leaf.grad()).unwrap()) {
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

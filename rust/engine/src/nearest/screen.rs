//! Which pairs of two blocks are scored exactly: those that a product in f32 does not rule out.
//!
//! A sum of `n` products in f32 is off by at most `n u / (1 - n u)` times the product of the two vectors' lengths, whatever the order
//! of its additions, where `u` is half of f32's epsilon. A few more roundings come from the scale and the shift below, so `n` is
//! taken a little larger. What is within this bound of the worst neighbor passes.

use super::metric::Metric;
use super::vectors::Vectors;

/// Half of the distance from 1 to the next f32.
const UNIT: f64 = f32::EPSILON as f64 / 2.0;

/// Roundings beside those of the sum.
const MORE: usize = 8;

/// Products that are looked at together, so that the loop can be vectorized.
const LANES: usize = 32;

/// For one block of rows: the value of row i is its product with the query, times `scale[i]`, plus `shift[i]`. The cosine divides
/// by the row's length; the distance subtracts half of its square.
pub(super) struct Screen {
    metric: Metric,
    scale: Vec<f32>,
    shift: Vec<f32>,
    longest: f64,
    error: f64,
    terms: f64,
}

impl Screen {
    #[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is part of the bound")]
    pub(super) fn of(rows: &Vectors, metric: Metric) -> Self {
        let lengths = rows.lengths();
        // A row whose numbers do not fit f32 is never ruled out: NaN is below nothing.
        let fitting = |value: f64| if value.abs() < f64::from(f32::MAX) { value as f32 } else { f32::NAN };
        let scale = lengths.iter().map(|length| if metric == Metric::Cosine { fitting(1.0 / length) } else { 1.0 }).collect();
        let shift = lengths.iter().map(|length| if metric == Metric::L2 { fitting(-length * length / 2.0) } else { 0.0 }).collect();
        let terms = (rows.dimension() + MORE) as f64;
        let error = 1.01 * terms * UNIT / (1.0 - terms * UNIT);
        Self { metric, scale, shift, longest: lengths.iter().copied().fold(0.0, f64::max), error, terms }
    }

    /// The value below which no row has this score with a query of this length.
    #[expect(clippy::cast_possible_truncation, reason = "it is corrected downwards")]
    pub(super) fn least(&self, score: f64, length: f64) -> f32 {
        let (value, error) = match self.metric {
            Metric::Cosine => (score * length, length),
            Metric::Dot => (score, length * self.longest),
            Metric::L2 => ((length * length + score) / 2.0, (length + self.longest) * self.longest),
        };
        // Products below the smallest normal number lose more.
        let least = value - self.error * error - self.terms * f64::from(f32::MIN_POSITIVE);
        let narrow = least as f32;
        if f64::from(narrow) > least { narrow.next_down() } else { narrow }
    }

    /// The first row, from `from` on, whose value is not below `least`. A product that overflowed counts as such a row.
    pub(super) fn next(&self, products: &[f32], from: usize, least: f32) -> Option<usize> {
        let mut at = from;
        while at < products.len() {
            let end = products.len().min(at + LANES);
            let part = || products[at..end].iter().zip(&self.scale[at..end]).zip(&self.shift[at..end]);
            let below = |((product, scale), shift): ((&f32, &f32), &f32)| product * scale + shift < least;
            // Without a branch for each product.
            if !part().fold(true, |all, one| all & below(one)) {
                return part().position(|one| !below(one)).map(|i| at + i);
            }
            at = end;
        }
        None
    }
}

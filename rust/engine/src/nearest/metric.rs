//! How two vectors are compared. A *score* is larger for vectors that are nearer, for every metric; users see its *value*.

use serde::Deserialize;

/// The ways to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The cosine of the angle: a similarity.
    Cosine,
    /// The sum of products: a similarity.
    Dot,
    /// The length of the difference: a distance. Its score is the square, negated.
    L2,
}

impl Metric {
    /// The exact score of two vectors, whose lengths are given; rounded as f64 does.
    pub(super) fn score(self, x: &[f32], y: &[f32], x_length: f64, y_length: f64) -> f64 {
        let score = match self {
            Self::Cosine => (sum(x, y, |a, b| a * b) / (x_length * y_length)).clamp(-1.0, 1.0),
            Self::Dot => sum(x, y, |a, b| a * b),
            Self::L2 => -sum(x, y, |a, b| (a - b) * (a - b)),
        };
        // -0 becomes 0: they are ties.
        score + 0.0
    }

    /// What users see of a score.
    pub(super) fn value_of(self, score: f64) -> f64 {
        if self == Self::L2 { (-score).sqrt() } else { score }
    }

    /// The score that has this value.
    pub(super) fn score_of(self, value: f64) -> f64 {
        if self == Self::L2 { -value * value } else { value }
    }
}

/// The sum over all elements, in f64. Eight sums side by side, so that the loop can be vectorized.
pub(super) fn sum(x: &[f32], y: &[f32], term: impl Fn(f64, f64) -> f64) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (xs, ys) = (x.chunks_exact(LANES), y.chunks_exact(LANES));
    let rest: f64 = xs.remainder().iter().zip(ys.remainder()).map(|(a, b)| term(f64::from(*a), f64::from(*b))).sum();
    for (a, b) in xs.zip(ys) {
        for lane in 0..LANES {
            sums[lane] += term(f64::from(a[lane]), f64::from(b[lane]));
        }
    }
    sums.iter().sum::<f64>() + rest
}

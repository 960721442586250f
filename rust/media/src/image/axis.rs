//! One axis of a resize: which input pixels make an output pixel, and how much of each, in Pillow's 22-bit fixed point.
//!
//! Positions refer to the stored picture. If the EXIF orientation mirrors an axis, its filter is computed from the other end and
//! then reversed. The sums are exactly those of a picture that was rotated first, but the picture need not be rotated.

use std::ops::Range;

use super::spec::Interpolation;

/// Fractional bits of a weight: 32 less 8 of the value and 2 for the overshoot of cubic filters.
pub(super) const PRECISION_BITS: u32 = 32 - 8 - 2;

/// The input pixels along an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    /// Pixels in the memory.
    pub pixels: usize,
    /// Their length; the last may be a part of a pixel, in a picture that was shrunk while it was decoded.
    pub length: f64,
    /// Whether the first is the last of the upright picture.
    pub mirrored: bool,
}

/// The output pixels along an axis.
#[derive(Clone, Copy, Debug)]
pub(super) struct Aim {
    /// Pixels of the whole resized picture.
    pub whole: usize,
    /// The first that is needed, counted in the upright picture.
    pub start: usize,
    /// How many are.
    pub count: usize,
}

/// The input pixels and the weights of every output pixel that is needed, in stored order.
pub(super) struct Taps {
    /// First input pixel (of those within reach) and number of weights, by output pixel.
    spans: Vec<(usize, usize)>,
    /// Weights, `stride` apart.
    weights: Vec<i32>,
    stride: usize,
}

impl Taps {
    /// First input pixel and weights of output pixel `at`.
    pub(super) fn of(&self, at: usize) -> (usize, &[i32]) {
        let (first, count) = self.spans[at];
        (first, &self.weights[at * self.stride..at * self.stride + count])
    }

    /// First input pixel and number of weights of output pixel `at`, if there is one.
    pub(super) fn span(&self, at: usize) -> Option<(usize, usize)> {
        self.spans.get(at).copied()
    }
}

/// An axis with its resize.
pub(super) struct Axis {
    /// The input pixels that are needed.
    pub reach: Range<usize>,
    /// Output pixels.
    pub count: usize,
    /// `None`: output pixels are the input pixels within reach.
    pub taps: Option<Taps>,
}

impl Axis {
    pub(super) fn new(filter: Interpolation, side: Side, aim: Aim) -> Self {
        let Side { pixels, length, mirrored } = side;
        if pixels == aim.whole && length == pixels as f64 {
            let start = if mirrored { pixels - aim.start - aim.count } else { aim.start };
            return Self { reach: start..start + aim.count, count: aim.count, taps: None };
        }
        let mut taps = if filter == Interpolation::Nearest { nearest(pixels, &aim) } else { filtered(filter, side, &aim) };
        if mirrored {
            taps.mirror(pixels);
        }
        let first = taps.spans.first().map_or(0, |span| span.0);
        let end = taps.spans.last().map_or(first, |span| span.0 + span.1);
        taps.spans.iter_mut().for_each(|span| span.0 -= first);
        Self { reach: first..end, count: aim.count, taps: Some(taps) }
    }
}

impl Taps {
    fn mirror(&mut self, pixels: usize) {
        self.spans.iter_mut().for_each(|span| span.0 = pixels - span.0 - span.1);
        for (weights, span) in self.weights.chunks_exact_mut(self.stride).zip(&self.spans) {
            weights[..span.1].reverse();
        }
        let weights = self.weights.chunks_exact(self.stride).rev().flatten().copied().collect();
        self.weights = weights;
        self.spans.reverse();
    }
}

/// Pillow's filters, from the end where the upright picture begins.
fn filtered(filter: Interpolation, side: Side, aim: &Aim) -> Taps {
    let scale = side.length / aim.whole as f64;
    let filter_scale = scale.max(1.0);
    let support = support(filter) * filter_scale;
    let stride = support.ceil() as usize * 2 + 1;
    // From the other end, a partial last pixel comes first and begins before the picture does.
    let lead = if side.mirrored { side.pixels as f64 - side.length } else { 0.0 };
    let mut spans = Vec::with_capacity(aim.count);
    let mut weights = vec![0; aim.count * stride];
    let mut exact = Vec::with_capacity(stride);
    for (at, fixed) in weights.chunks_exact_mut(stride).enumerate() {
        let center = ((aim.start + at) as f64 + 0.5) * scale + lead;
        // Casts to usize stop at 0, as Pillow's do by an explicit test.
        let first = (center - support + 0.5) as usize;
        let last = ((center + support + 0.5) as usize).min(side.pixels);
        exact.clear();
        exact.extend((first..last).map(|x| weight(filter, (x as f64 - center + 0.5) * (1.0 / filter_scale))));
        let total: f64 = exact.iter().sum();
        for (fixed, &weight) in fixed.iter_mut().zip(&exact) {
            let part = if total == 0.0 { weight } else { weight / total };
            *fixed = (part * f64::from(1u32 << PRECISION_BITS) + 0.5f64.copysign(part)) as i32;
        }
        spans.push((first, last.saturating_sub(first).min(stride)));
    }
    Taps { spans, weights, stride }
}

/// The pixel under each center, whole; positions add up step by step, so that they round as Pillow's do.
fn nearest(pixels: usize, aim: &Aim) -> Taps {
    let scale = pixels as f64 / aim.whole as f64;
    let steps = std::iter::successors(Some(scale * 0.5), |position| Some(position + scale));
    let spans = steps.skip(aim.start).take(aim.count).map(|position| ((position as usize).min(pixels - 1), 1)).collect();
    Taps { spans, weights: vec![1 << PRECISION_BITS; aim.count], stride: 1 }
}

/// Half the width of a filter at scale 1, in pixels.
fn support(filter: Interpolation) -> f64 {
    match filter {
        Interpolation::Nearest | Interpolation::Box => 0.5,
        Interpolation::Bilinear | Interpolation::Hamming => 1.0,
        Interpolation::Bicubic => 2.0,
        Interpolation::Lanczos => 3.0,
    }
}

/// The filter at distance `x`, in pixels at scale 1.
fn weight(filter: Interpolation, x: f64) -> f64 {
    let distance = x.abs();
    match filter {
        Interpolation::Nearest | Interpolation::Box => f64::from(u8::from(x > -0.5 && x <= 0.5)),
        Interpolation::Bilinear => (1.0 - distance).max(0.0),
        Interpolation::Hamming if distance >= 1.0 => 0.0,
        Interpolation::Hamming => sinc(distance) * (0.54 + 0.46 * (distance * std::f64::consts::PI).cos()),
        Interpolation::Bicubic if distance < 1.0 => (1.5 * distance - 2.5) * distance * distance + 1.0,
        Interpolation::Bicubic if distance < 2.0 => (((distance - 5.0) * distance + 8.0) * distance - 4.0) * -0.5,
        Interpolation::Bicubic => 0.0,
        Interpolation::Lanczos if (-3.0..3.0).contains(&x) => sinc(x) * sinc(x / 3.0),
        Interpolation::Lanczos => 0.0,
    }
}

fn sinc(x: f64) -> f64 {
    let angle = x * std::f64::consts::PI;
    if angle == 0.0 { 1.0 } else { angle.sin() / angle }
}

//! Resizing with Pillow's arithmetic: separable filters in 22-bit fixed point, each pass rounded to bytes (horizontal first but
//! for very tall pictures).
//!
//! Only what the crop window shows is computed; as every output pixel depends on nothing but its own taps, the result is that of
//! resizing the whole picture and cropping it afterwards.

use std::collections::VecDeque;
use std::ops::Range;

use super::decode::{PIXEL_BYTES, Picture};
use super::spec::Interpolation;

/// Fractional bits of a weight: 32 less 8 of the value and 2 for the overshoot of cubic filters.
const PRECISION_BITS: u32 = 32 - 8 - 2;
/// What every sum begins with, so that cutting the fraction off rounds to nearest. Sums cannot overflow (weights add up to one, with
/// lobes to less than four); they are wrapping so that overflow checks do not keep the loops from being vectorised.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// The part of the resized picture to compute, in its pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub x: usize,
    pub y: usize,
    pub width: usize,
    pub height: usize,
}

/// The taps of some consecutive output positions along one axis.
struct Taps {
    /// First input position and number of taps, by output position.
    spans: Vec<(usize, usize)>,
    /// Weights, `stride` apart.
    weights: Vec<i32>,
    stride: usize,
}

impl Taps {
    fn of(&self, at: usize) -> (usize, &[i32]) {
        let (first, count) = self.spans[at];
        (first, &self.weights[at * self.stride..at * self.stride + count])
    }

    /// All input positions that any of the taps touches.
    fn reach(&self) -> Range<usize> {
        let first = self.spans.first().map_or(0, |span| span.0);
        first..self.spans.last().map_or(first, |span| span.0 + span.1)
    }

    /// The input position after the last tap of output position `at`.
    fn end(&self, at: usize) -> usize {
        self.spans.get(at).map_or(0, |&(first, count)| first + count)
    }
}

/// Resizes `picture` to `size` (width, height) and gives the rows of `window`, from the top, to `emit(row number in the window, RGBA bytes)`.
pub(super) fn resample(picture: &Picture, size: (usize, usize), window: Window, filter: Interpolation, emit: impl FnMut(usize, &[u8])) {
    if filter == Interpolation::Nearest {
        nearest(picture, size, window, emit);
        return;
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2, the only thing the function asks beyond being called.
        unsafe { filtered_avx2(picture, size, window, filter, emit) };
        return;
    }
    filtered(picture, size, window, filter, emit);
}

/// [`filtered`] compiled for CPUs with AVX2.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn filtered_avx2(picture: &Picture, size: (usize, usize), window: Window, filter: Interpolation, emit: impl FnMut(usize, &[u8])) {
    filtered(picture, size, window, filter, emit);
}

#[inline(always)]
fn filtered(picture: &Picture, (width, height): (usize, usize), window: Window, filter: Interpolation, mut emit: impl FnMut(usize, &[u8])) {
    let columns = (width != picture.width).then(|| taps(filter, picture.width, width, window.x, window.width));
    let rows = (height != picture.height).then(|| taps(filter, picture.height, height, window.y, window.height));
    let needed = rows.as_ref().map_or(window.y..window.y + window.height, Taps::reach);
    let row_bytes = window.width * PIXEL_BYTES;
    let mut line = vec![0; row_bytes];
    let mut narrow = |row: &[u8], then: &mut dyn FnMut(&[u8])| match &columns {
        Some(columns) => {
            narrow_row(row, columns, &mut line);
            then(&line);
        }
        None => then(&row[window.x * PIXEL_BYTES..][..row_bytes]),
    };
    let source = |y: usize| &picture.pixels[y * picture.width * PIXEL_BYTES..(y + 1) * picture.width * PIXEL_BYTES];
    match rows {
        None => needed.for_each(|y| narrow(source(y), &mut |row| emit(y - window.y, row))),
        Some(rows) if rows_first(picture, width, height) => {
            let mut pass = RowPass::new(rows, picture.width * PIXEL_BYTES);
            needed.for_each(|y| pass.add(y, source(y), &mut |y, row: &[u8]| narrow(row, &mut |row| emit(y, row))));
        }
        Some(rows) => {
            let mut pass = RowPass::new(rows, row_bytes);
            needed.for_each(|y| narrow(source(y), &mut |row| pass.add(y, row, &mut emit)));
        }
    }
}

/// Whether the vertical pass comes first: where the height shrinks by more than twice what the width does (Pillow 13's rule; the
/// order shows, as each pass rounds to bytes).
fn rows_first(picture: &Picture, width: usize, height: usize) -> bool {
    let shrinks = |from: usize, to: usize| from as i64 - to as i64;
    let (by_height, by_width) = (shrinks(picture.height, height), shrinks(picture.width, width));
    by_height > 0 && by_height > by_width * 2
}

/// The vertical filter, fed with input rows from the top: keeps the sums of the few output rows still open, so that its memory does
/// not depend on the height of the picture.
struct RowPass {
    taps: Taps,
    /// Output rows `closed..opened` are open, their sums in `open`.
    opened: usize,
    closed: usize,
    open: VecDeque<Vec<i32>>,
    /// Buffers of closed rows, to be used again.
    spare: Vec<Vec<i32>>,
    finished: Vec<u8>,
}

impl RowPass {
    fn new(taps: Taps, row_bytes: usize) -> Self {
        Self { taps, opened: 0, closed: 0, open: VecDeque::new(), spare: Vec::new(), finished: vec![0; row_bytes] }
    }

    /// Adds input row `y` to every output row it reaches and emits those that are then complete.
    #[inline(always)]
    fn add(&mut self, y: usize, row: &[u8], emit: &mut impl FnMut(usize, &[u8])) {
        while self.taps.spans.get(self.opened).is_some_and(|&(first, _)| first <= y) {
            let mut sums = self.spare.pop().unwrap_or_default();
            sums.clear();
            sums.resize(row.len(), HALF);
            self.open.push_back(sums);
            self.opened += 1;
        }
        for (at, sums) in self.open.iter_mut().enumerate() {
            let (first, weights) = self.taps.of(self.closed + at);
            let Some(&weight) = weights.get(y - first) else { continue };
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum = sum.wrapping_add(i32::from(value).wrapping_mul(weight));
            }
        }
        while self.open.front().is_some() && self.taps.end(self.closed) <= y + 1 {
            if let Some(sums) = self.open.pop_front() {
                for (value, &sum) in self.finished.iter_mut().zip(&sums) {
                    *value = to_byte(sum);
                }
                emit(self.closed, &self.finished);
                self.spare.push(sums);
                self.closed += 1;
            }
        }
    }
}

/// One row through the horizontal filter.
#[inline(always)]
fn narrow_row(source: &[u8], columns: &Taps, line: &mut [u8]) {
    for (x, pixel) in line.chunks_exact_mut(PIXEL_BYTES).enumerate() {
        let (first, weights) = columns.of(x);
        let mut sums = [HALF; PIXEL_BYTES];
        for (values, &weight) in source[first * PIXEL_BYTES..].chunks_exact(PIXEL_BYTES).zip(weights) {
            for (sum, &value) in sums.iter_mut().zip(values) {
                *sum = sum.wrapping_add(i32::from(value).wrapping_mul(weight));
            }
        }
        for (value, sum) in pixel.iter_mut().zip(sums) {
            *value = to_byte(sum);
        }
    }
}

#[inline(always)]
fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Taps for output positions `start..start + count` of an axis that goes from `from` to `to` pixels.
fn taps(filter: Interpolation, from: usize, to: usize, start: usize, count: usize) -> Taps {
    let scale = from as f64 / to as f64;
    let filter_scale = scale.max(1.0);
    let support = support(filter) * filter_scale;
    let stride = support.ceil() as usize * 2 + 1;
    let mut spans = Vec::with_capacity(count);
    let mut weights = vec![0; count * stride];
    let mut exact = Vec::with_capacity(stride);
    for (at, fixed) in weights.chunks_exact_mut(stride).enumerate() {
        let centre = ((start + at) as f64 + 0.5) * scale;
        // Casts to usize stop at 0, as Pillow's do by an explicit test.
        let first = (centre - support + 0.5) as usize;
        let last = ((centre + support + 0.5) as usize).min(from);
        exact.clear();
        exact.extend((first..last).map(|x| weight(filter, (x as f64 - centre + 0.5) * (1.0 / filter_scale))));
        let total: f64 = exact.iter().sum();
        for (fixed, &weight) in fixed.iter_mut().zip(&exact) {
            let part = if total == 0.0 { weight } else { weight / total };
            *fixed = (part * f64::from(1u32 << PRECISION_BITS) + 0.5f64.copysign(part)) as i32;
        }
        spans.push((first, last.saturating_sub(first).min(stride)));
    }
    Taps { spans, weights, stride }
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

/// The pixel under each centre; positions add up step by step, so that they round as Pillow's do.
fn nearest(picture: &Picture, (width, height): (usize, usize), window: Window, mut emit: impl FnMut(usize, &[u8])) {
    let columns = positions(picture.width, width, window.x, window.width);
    let rows = positions(picture.height, height, window.y, window.height);
    let mut line = vec![0; window.width * PIXEL_BYTES];
    for (y, row) in rows.into_iter().enumerate() {
        let source = &picture.pixels[row * picture.width * PIXEL_BYTES..(row + 1) * picture.width * PIXEL_BYTES];
        for (pixel, &column) in line.chunks_exact_mut(PIXEL_BYTES).zip(&columns) {
            pixel.copy_from_slice(&source[column * PIXEL_BYTES..(column + 1) * PIXEL_BYTES]);
        }
        emit(y, &line);
    }
}

/// Input positions for output positions `start..start + count` of an axis that goes from `from` to `to` pixels.
fn positions(from: usize, to: usize, start: usize, count: usize) -> Vec<usize> {
    let scale = from as f64 / to as f64;
    let steps = std::iter::successors(Some(scale * 0.5), |position| Some(position + scale));
    steps.skip(start).take(count).map(|position| (position as usize).min(from - 1)).collect()
}

//! The horizontal pass: one row of pixels to fewer (or more) of them.
//!
//! Three implementations give the same bytes, since all use whole numbers modulo 2^32: sixteen pixels at a time (`vnni`), four at
//! a time (`avx2`), or one by one on any machine. The first one is used that the CPU supports and whose minimum row length fits.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod vnni;

use super::axis::{PRECISION_BITS, Taps};
use super::picture::PIXEL_BYTES;

/// The initial value of every sum, so that cutting the fraction off rounds to nearest. Sums cannot overflow (weights add up to one, with
/// lobes to less than four); they are wrapping so that overflow checks do not keep the loops from being vectorized.
pub(super) const HALF: i32 = 1 << (PRECISION_BITS - 1);

#[inline(always)]
pub(super) fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// The filter of every output pixel of a row.
pub(super) struct Columns {
    taps: Taps,
    #[cfg(target_arch = "x86_64")]
    sixteens: Option<vnni::Sixteens>,
    #[cfg(target_arch = "x86_64")]
    fours: Option<avx2::Fours>,
}

impl Columns {
    /// For rows of `reach` input pixels and `count` output pixels.
    pub(super) fn new(taps: Taps, reach: usize, count: usize) -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            sixteens: vnni::Sixteens::new(&taps, reach, count),
            #[cfg(target_arch = "x86_64")]
            fours: avx2::Fours::new(&taps, reach, count),
            taps,
        }
    }

    /// Filters `source` (RGBA, all pixels within reach) into `line`.
    pub(super) fn run(&self, source: &[u8], line: &mut [u8]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(sixteens) = &self.sixteens {
            return sixteens.run(source, line);
        }
        #[cfg(target_arch = "x86_64")]
        if let Some(fours) = &self.fours {
            return fours.run(source, line);
        }
        self.run_anywhere(source, line);
    }

    fn run_anywhere(&self, source: &[u8], line: &mut [u8]) {
        for (x, pixel) in line.chunks_exact_mut(PIXEL_BYTES).enumerate() {
            let (first, weights) = self.taps.of(x);
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
}

#[cfg(test)]
mod tests {
    use super::super::axis::{Aim, Axis, Side};
    use super::super::spec::Interpolation;
    use super::*;

    #[test]
    fn every_way_gives_the_same_bytes() {
        let noise = |at: usize| (at.wrapping_mul(2_654_435_761) >> 13) as u8;
        for filter in [Interpolation::Box, Interpolation::Bilinear, Interpolation::Bicubic, Interpolation::Lanczos] {
            for (from, whole, start, count) in
                [(683, 256, 16, 224), (4000, 341, 58, 224), (97, 64, 0, 64), (40, 200, 7, 150), (17, 3, 0, 3)]
            {
                let side = Side { pixels: from, length: from as f64, mirrored: false };
                let axis = || Axis::new(filter, side, Aim { whole, start, count });
                let reach = axis().reach.len();
                // Noise, and hard edges, where cubic filters overshoot.
                for edge in [false, true] {
                    let value = |at: usize| if edge { [0, 255][at / 23 % 2] } else { noise(at) };
                    let row: Vec<u8> = (0..reach * PIXEL_BYTES).map(value).collect();
                    let columns = Columns::new(axis().taps.expect("taps"), reach, count);
                    let mut expected = vec![0; count * PIXEL_BYTES];
                    columns.run_anywhere(&row, &mut expected);
                    let mut found = vec![0; count * PIXEL_BYTES];
                    columns.run(&row, &mut found);
                    assert_eq!(found, expected, "{filter:?} {from} to {whole}");
                    #[cfg(target_arch = "x86_64")]
                    if let Some(fours) = &columns.fours {
                        fours.run(&row, &mut found);
                        assert_eq!(found, expected, "fours, {filter:?} {from} to {whole}");
                    }
                }
            }
        }
    }
}

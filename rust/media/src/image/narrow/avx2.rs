//! Four pixels at a time, for CPUs with AVX2.
//!
//! A weight has 22 bits of fraction. The CPU multiplies pairs of 16 bits and adds them up in one instruction, so a weight is kept as two
//! parts, `high * 4096 + low`, whose sums are put together at the end.

use std::arch::x86_64::*;

use super::{HALF, PIXEL_BYTES, PRECISION_BITS, Taps};

/// Input pixels that are multiplied at once.
const GROUP: usize = 4;
const GROUP_BYTES: usize = GROUP * PIXEL_BYTES;
/// Bits of the low part of a weight.
const LOW_BITS: i32 = 12;

/// Weights of a group: of pixels 0 and 1 once for each channel, then of 2 and 3.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
struct Weights {
    low: [i16; 16],
    high: [i16; 16],
}

pub(super) struct Fours {
    /// The first byte of the first group of every output pixel.
    starts: Vec<usize>,
    /// `groups` for every output pixel.
    weights: Vec<Weights>,
    groups: usize,
    /// Bytes of an input row.
    row_bytes: usize,
}

impl Fours {
    /// `None` if the CPU has no AVX2, or a row is shorter than one read.
    pub(super) fn new(taps: &Taps, reach: usize, count: usize) -> Option<Self> {
        let most = (0..count).filter_map(|at| taps.span(at)).map(|span| span.1).max()?;
        let groups = most.div_ceil(GROUP);
        if !std::arch::is_x86_feature_detected!("avx2") || reach < groups * GROUP {
            return None;
        }
        let mut starts = Vec::with_capacity(count);
        let mut weights = vec![Weights { low: [0; 16], high: [0; 16] }; count * groups];
        for (at, groups_of) in weights.chunks_exact_mut(groups).enumerate() {
            let (first, values) = taps.of(at);
            // The last ones begin earlier, so that none reads beyond the row.
            let start = first.min(reach - groups * GROUP);
            starts.push(start * PIXEL_BYTES);
            for (pixel, &value) in values.iter().enumerate() {
                let (group, within) = ((first - start + pixel) / GROUP, (first - start + pixel) % GROUP);
                for channel in 0..PIXEL_BYTES {
                    let lane = within / 2 * 8 + channel * 2 + within % 2;
                    groups_of[group].low[lane] = (value & ((1 << LOW_BITS) - 1)) as i16;
                    groups_of[group].high[lane] = (value >> LOW_BITS) as i16;
                }
            }
        }
        Some(Self { starts, weights, groups, row_bytes: reach * PIXEL_BYTES })
    }

    pub(super) fn run(&self, source: &[u8], line: &mut [u8]) {
        assert_eq!(source.len(), self.row_bytes, "a row of pixels within reach");
        // SAFETY: `Fours` exist only on CPUs with AVX2, and the row has the length that they were made for.
        unsafe { self.run_avx2(source, line) }
    }

    /// # Safety
    /// `source` has `row_bytes`.
    #[target_feature(enable = "avx2")]
    unsafe fn run_avx2(&self, source: &[u8], line: &mut [u8]) {
        // Bytes of the same channel side by side as 16 bits: of pixels 0 and 1 in the low half, of 2 and 3 in the high half.
        let order = _mm256_setr_epi8(
            0, -1, 4, -1, 1, -1, 5, -1, 2, -1, 6, -1, 3, -1, 7, -1, 8, -1, 12, -1, 9, -1, 13, -1, 10, -1, 14, -1, 11, -1, 15, -1,
        );
        let half = _mm_set1_epi32(HALF);
        let pixels = line.chunks_exact_mut(PIXEL_BYTES);
        for ((pixel, &start), weights) in pixels.zip(&self.starts).zip(self.weights.chunks_exact(self.groups)) {
            let (mut low, mut high) = (_mm256_setzero_si256(), _mm256_setzero_si256());
            for (group, weights) in weights.iter().enumerate() {
                // SAFETY: `new` keeps all groups within the row.
                let place = unsafe { source.as_ptr().add(start + group * GROUP_BYTES) };
                // SAFETY: as above, for all its bytes.
                let four = unsafe { _mm_loadu_si128(place.cast()) };
                let values = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(four), order);
                // SAFETY: 32 bytes, aligned by the type.
                let low_weights = unsafe { _mm256_load_si256(weights.low.as_ptr().cast()) };
                // SAFETY: likewise; 32 bytes after an aligned 32.
                let high_weights = unsafe { _mm256_load_si256(weights.high.as_ptr().cast()) };
                low = _mm256_add_epi32(low, _mm256_madd_epi16(values, low_weights));
                high = _mm256_add_epi32(high, _mm256_madd_epi16(values, high_weights));
            }
            let both = _mm256_add_epi32(low, _mm256_slli_epi32::<LOW_BITS>(high));
            let sums = _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256::<1>(both));
            let whole = _mm_srai_epi32::<{ PRECISION_BITS as i32 }>(_mm_add_epi32(sums, half));
            let words = _mm_packs_epi32(whole, whole);
            let bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
            pixel.copy_from_slice(&bytes.to_le_bytes());
        }
    }
}

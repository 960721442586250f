//! Sixteen pixels at a time, for CPUs with AVX-512 and its VNNI.
//!
//! The CPU multiplies four unsigned bytes with four signed ones and adds them up in one instruction. So a weight is kept as three signed
//! digits to the base of 256, whose sums are put together at the end.

use std::arch::x86_64::*;

use super::{HALF, PIXEL_BYTES, PRECISION_BITS, Taps};

/// Input pixels that are multiplied at once.
const GROUP: usize = 16;
const GROUP_BYTES: usize = GROUP * PIXEL_BYTES;

/// Digits of the weights of a group, lowest first; 64 bytes (the last sixteen are unused), so that a group fills one cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Weights {
    digits: [[i8; GROUP]; 4],
}

pub(super) struct Sixteens {
    /// The first byte of the first group of every output pixel.
    starts: Vec<usize>,
    /// `groups` for every output pixel.
    weights: Vec<Weights>,
    groups: usize,
    /// Bytes of an input row.
    row_bytes: usize,
}

/// A weight as three digits, lowest first; `None` if it has more.
fn digits(weight: i32) -> Option<[i8; 3]> {
    let low = weight as i8;
    let rest = (i64::from(weight) - i64::from(low)) >> 8;
    let middle = rest as i8;
    let high = i8::try_from((rest - i64::from(middle)) >> 8).ok()?;
    Some([low, middle, high])
}

impl Sixteens {
    /// `None` if the CPU has no such instructions, or a row is shorter than one read.
    pub(super) fn new(taps: &Taps, reach: usize, count: usize) -> Option<Self> {
        use std::arch::is_x86_feature_detected as has;
        if !(has!("avx512f") && has!("avx512bw") && has!("avx512vnni")) {
            return None;
        }
        let most = (0..count).filter_map(|at| taps.span(at)).map(|span| span.1).max()?;
        let groups = most.div_ceil(GROUP);
        if reach < groups * GROUP {
            return None;
        }
        let mut starts = Vec::with_capacity(count);
        let mut weights = vec![Weights { digits: [[0; GROUP]; 4] }; count * groups];
        for (at, groups_of) in weights.chunks_exact_mut(groups).enumerate() {
            let (first, values) = taps.of(at);
            // The last ones begin earlier, so that none reads beyond the row.
            let start = first.min(reach - groups * GROUP);
            starts.push(start * PIXEL_BYTES);
            for (pixel, &value) in values.iter().enumerate() {
                let place = first - start + pixel;
                for (digit, place_value) in digits(value)?.into_iter().zip(&mut groups_of[place / GROUP].digits) {
                    place_value[place % GROUP] = digit;
                }
            }
        }
        Some(Self { starts, weights, groups, row_bytes: reach * PIXEL_BYTES })
    }

    pub(super) fn run(&self, source: &[u8], line: &mut [u8]) {
        assert_eq!(source.len(), self.row_bytes, "a row of pixels within reach");
        // SAFETY: `Sixteens` exist only on CPUs with these instructions, and the row has the length that they were made for.
        unsafe { self.run_vnni(source, line) }
    }

    /// # Safety
    /// `source` has `row_bytes`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni,avx2")]
    unsafe fn run_vnni(&self, source: &[u8], line: &mut [u8]) {
        // In each quarter, which holds four pixels: their reds next to each other, then their greens, blues and alphas.
        let by_channel = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
        // Each quarter takes its four of the sixteen digits, once for each channel.
        let fours = _mm512_set_epi32(
            0x0F0E_0D0C,
            0x0F0E_0D0C,
            0x0F0E_0D0C,
            0x0F0E_0D0C,
            0x0B0A_0908,
            0x0B0A_0908,
            0x0B0A_0908,
            0x0B0A_0908,
            0x0706_0504,
            0x0706_0504,
            0x0706_0504,
            0x0706_0504,
            0x0302_0100,
            0x0302_0100,
            0x0302_0100,
            0x0302_0100,
        );
        let half = _mm_set1_epi32(HALF);
        let pixels = line.chunks_exact_mut(PIXEL_BYTES);
        for ((pixel, &start), weights) in pixels.zip(&self.starts).zip(self.weights.chunks_exact(self.groups)) {
            let mut sums = [_mm512_setzero_si512(); 3];
            for (group, weights) in weights.iter().enumerate() {
                // SAFETY: `new` keeps all groups within the row.
                let place = unsafe { source.as_ptr().add(start + group * GROUP_BYTES) };
                // SAFETY: as above, for all its bytes.
                let sixteen = unsafe { _mm512_loadu_si512(place.cast()) };
                let values = _mm512_shuffle_epi8(sixteen, by_channel);
                for (sum, digits) in sums.iter_mut().zip(&weights.digits) {
                    // SAFETY: sixteen bytes, aligned by the type.
                    let digits = unsafe { _mm_load_si128(digits.as_ptr().cast()) };
                    *sum = _mm512_dpbusd_epi32(*sum, values, _mm512_shuffle_epi8(_mm512_broadcast_i32x4(digits), fours));
                }
            }
            let [low, middle, high] = sums;
            let all = _mm512_add_epi32(low, _mm512_slli_epi32::<8>(_mm512_add_epi32(middle, _mm512_slli_epi32::<8>(high))));
            let halves = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
            let sum = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
            let whole = _mm_srai_epi32::<{ PRECISION_BITS as i32 }>(_mm_add_epi32(sum, half));
            let words = _mm_packs_epi32(whole, whole);
            let bytes = _mm_cvtsi128_si32(_mm_packus_epi16(words, words));
            pixel.copy_from_slice(&bytes.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn three_digits_make_the_weight_again() {
        for weight in (-8_355_712..8_355_712).step_by(997).chain([0, -1, 127, 128, -128, -129, 32_767, 32_768, 1 << 22]) {
            let [low, middle, high] = digits(weight).map(|digits| digits.map(i32::from)).expect("a weight");
            assert_eq!(low + 256 * (middle + 256 * high), weight);
        }
        assert_eq!((digits(i32::MAX), digits(i32::MIN)), (None, None));
    }
}

//! The vertical pass's inner loops: a row, weighted, onto the sums of an output row; and sums into bytes.
//!
//! Plain loops, also compiled for CPUs with wider registers: without a 32-bit multiplication (before SSE4.1) they take several
//! times as long.

use super::narrow::to_byte;

/// Adds `row` times `weight` to `sums`.
pub(super) fn add(sums: &mut [i32], row: &[u8], weight: i32) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the CPU has AVX-512F, which is all that the function requires.
        return unsafe { add_avx512(sums, row, weight) };
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2, which is all that the function requires.
        return unsafe { add_avx2(sums, row, weight) };
    }
    add_anywhere(sums, row, weight);
}

/// Sums into bytes, rounded.
pub(super) fn finish(sums: &[i32], row: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the CPU has AVX2, which is all that the function requires.
        return unsafe { finish_avx2(sums, row) };
    }
    finish_anywhere(sums, row);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
fn add_avx512(sums: &mut [i32], row: &[u8], weight: i32) {
    add_anywhere(sums, row, weight);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn add_avx2(sums: &mut [i32], row: &[u8], weight: i32) {
    add_anywhere(sums, row, weight);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn finish_avx2(sums: &[i32], row: &mut [u8]) {
    finish_anywhere(sums, row);
}

#[inline(always)]
fn add_anywhere(sums: &mut [i32], row: &[u8], weight: i32) {
    for (sum, &value) in sums.iter_mut().zip(row) {
        *sum = sum.wrapping_add(i32::from(value).wrapping_mul(weight));
    }
}

#[inline(always)]
fn finish_anywhere(sums: &[i32], row: &mut [u8]) {
    for (value, &sum) in row.iter_mut().zip(sums) {
        *value = to_byte(sum);
    }
}

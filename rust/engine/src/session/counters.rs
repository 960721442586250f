//! The cost of a call.

use std::time::Instant;

use super::BadRowCause;

/// Totals of one or more calls; the caller sums or resets them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Rows received, NULL and bad ones included.
    pub rows: u64,
    /// Forward passes.
    pub forwards: u64,
    /// Rows whose content could not be evaluated.
    pub bad_rows: u64,
    /// The same, in the order of [`BadRowCause::ALL`].
    pub bad_by_cause: [u64; BadRowCause::ALL.len()],
    /// Staging and assembling: decoding, resizing, tokenizing, copying into tensors; includes helpers' time.
    pub prepare_ns: u64,
    /// Forward passes; the sum of all threads that ran them.
    pub forward_ns: u64,
    /// Making result columns.
    pub convert_ns: u64,
    /// Largest native memory of one batch, as estimated for its rows.
    pub peak_native_bytes: u64,
    /// Tokens (or samples) of real rows in the passes that were planned by length.
    pub real_tokens: u64,
    /// The same with padding.
    pub padded_tokens: u64,
    /// Passes that repeated a part of a failed pass, to find the bad rows.
    pub passes_again: u64,
}

impl Counters {
    /// Adds the cost of one pass.
    pub(super) fn add_pass(&mut self, pass: &Self) {
        self.forwards += pass.forwards;
        self.prepare_ns += pass.prepare_ns;
        self.forward_ns += pass.forward_ns;
        self.passes_again += pass.passes_again;
    }
}

pub(super) fn elapsed_ns(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX)
}

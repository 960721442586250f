//! Which items go through the program together.
//!
//! If staged rows have lengths (texts, clips), passes are planned by length so that there is little padding; otherwise they are
//! consecutive. An item's *output index* is where its result goes: valid rows in their order, or windows of valid clips in theirs.

use std::ops::Range;

use flambeau_media::audio::Pool;
use flambeau_media::text::plan_batches;

use crate::pace::IMAGE_PASS_ROWS;
use crate::prepare::StagedRows;

/// Maximum padded tokens of one pass, per row of [`PassLimits::by_length`]: 2,048 tokens on a CPU. More tokens do not make a pass more
/// efficient (its matrices keep a core busy from 1,000), only longer, and a killed task waits for its pass: 8,192 tokens of
/// MiniLM take over a second.
const TOKENS_A_ROW: usize = 32;

/// How large passes may be.
#[derive(Debug)]
pub(super) struct PassLimits {
    /// Rows of a pass over images.
    pub(super) images: usize,
    /// Rows of a pass planned by length.
    by_length: usize,
}

impl PassLimits {
    /// Small enough for a core's cache, and to end soon.
    pub(super) const ON_CPU: Self = Self { images: IMAGE_PASS_ROWS, by_length: 64 };
    /// Large enough to keep a GPU's cores busy: whole batches of images, and 16,384 tokens.
    pub(super) const ON_DEVICE: Self = Self { images: usize::MAX, by_length: 512 };
}

/// One forward pass.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    /// Items of the staged rows.
    pub(super) items: Vec<usize>,
    /// Where the result of each goes.
    pub(super) output_indices: Vec<usize>,
    /// The length to pad to; 0 if rows have no length.
    pub(super) length: usize,
    /// Whether it repeats a part of a pass that failed.
    pub(super) again: bool,
}

impl Pass {
    /// Its first `rows` rows, and the others; each is padded only to its own longest row.
    pub(super) fn split(mut self, rows: usize, lengths: Option<&[usize]>) -> (Self, Self) {
        let (items, output_indices) = (self.items.split_off(rows), self.output_indices.split_off(rows));
        let mut rest = Self { items, output_indices, length: self.length, again: self.again };
        for part in [&mut self, &mut rest] {
            if let Some(longest) = lengths.and_then(|lengths| part.items.iter().filter_map(|item| lengths.get(*item)).max()) {
                part.length = (*longest).max(1);
            }
        }
        (self, rest)
    }

    pub(super) fn again(self) -> Self {
        Self { again: true, ..self }
    }
}

/// How results of items become results of rows.
pub(super) struct Pooling {
    /// Output indices of each valid row.
    pub(super) output_ranges: Vec<Range<usize>>,
    pub(super) pool: Pool,
}

/// All passes of a batch.
pub(super) struct Plan {
    pub(super) passes: Vec<Pass>,
    /// Output indices in all.
    pub(super) items: usize,
    pub(super) pooling: Option<Pooling>,
    /// Of every staged item, if items have lengths.
    pub(super) lengths: Option<Vec<usize>>,
    /// Tokens or samples of the items.
    pub(super) real: u64,
    /// The same with padding.
    pub(super) padded: u64,
}

impl Plan {
    /// The valid row, by its position, that the result at this index belongs to.
    pub(super) fn row_of(&self, output_index: usize) -> usize {
        self.pooling.as_ref().map_or(output_index, |pooling| pooling.output_ranges.partition_point(|range| range.end <= output_index))
    }

    /// A pass of this output index alone.
    pub(super) fn alone(&self, output_index: usize) -> Option<Pass> {
        let pass = self.passes.iter().find(|pass| pass.output_indices.contains(&output_index))?;
        let at = pass.output_indices.iter().position(|p| *p == output_index)?;
        let one = Pass { items: vec![pass.items[at]], output_indices: vec![output_index], length: pass.length, again: false };
        Some(one.split(1, self.lengths.as_deref()).0)
    }
}

/// Plans passes of at most `max_rows` items over the valid rows. If one input has windows, the others must have the same windows.
pub(super) fn plan<'a>(inputs: impl Iterator<Item = &'a StagedRows>, valid: &[usize], max_rows: usize, limits: &PassLimits) -> Plan {
    let inputs: Vec<_> = inputs.collect();
    let windows = inputs.iter().find_map(|rows| match rows {
        StagedRows::Clips { items, pool, .. } => Some((items, *pool)),
        _ => None,
    });
    let (items, pooling): (Vec<usize>, Option<Pooling>) = match windows {
        None => (valid.to_vec(), None),
        Some((ranges, pool)) => {
            let mut items = Vec::new();
            let mut output_ranges = Vec::with_capacity(valid.len());
            for &row in valid {
                let first = items.len();
                items.extend(ranges[row].clone());
                output_ranges.push(first..items.len());
            }
            let one_each = output_ranges.iter().all(|p| p.len() == 1);
            (items, (!one_each).then_some(Pooling { output_ranges, pool }))
        }
    };
    let lengths: Option<Vec<usize>> =
        inputs.iter().filter_map(|rows| rows.lengths()).reduce(|a, b| a.iter().zip(&b).map(|(x, y)| *x.max(y)).collect());
    let (passes, real, padded) = match &lengths {
        None => (consecutive(&items, max_rows), 0, 0),
        Some(lengths) => by_length(&items, lengths, max_rows.min(limits.by_length), windows.is_some()),
    };
    Plan { passes, items: items.len(), pooling, lengths, real, padded }
}

fn consecutive(items: &[usize], max_rows: usize) -> Vec<Pass> {
    let mut output_index = 0;
    let pass = |chunk: &[usize]| {
        let output_indices = (output_index..output_index + chunk.len()).collect();
        output_index += chunk.len();
        Pass { items: chunk.to_vec(), output_indices, length: 0, again: false }
    };
    items.chunks(max_rows.max(1)).map(pass).collect()
}

fn by_length(items: &[usize], lengths: &[usize], rows: usize, is_audio: bool) -> (Vec<Pass>, u64, u64) {
    let of_items: Vec<usize> = items.iter().map(|&item| lengths[item]).collect();
    // The limit for clips is the size of full passes with clips of the longest length; for texts, with rows of the usual length.
    let usual = if is_audio { of_items.iter().copied().max().unwrap_or(1) } else { TOKENS_A_ROW };
    let buckets = plan_batches(&of_items, rows, rows * usual);
    let real = of_items.iter().map(|n| *n as u64).sum();
    let padded = buckets.iter().map(|b| b.padded() as u64).sum();
    let passes = buckets
        .into_iter()
        .map(|bucket| {
            let items = bucket.rows.iter().map(|&output_index| items[output_index]).collect();
            Pass { items, output_indices: bucket.rows, length: bucket.length, again: false }
        })
        .collect();
    (passes, real, padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_pass_are_padded_no_further_than_their_own_rows_need() {
        let pass = Pass { items: vec![3, 0, 2], output_indices: vec![7, 8, 9], length: 90, again: false };
        let (first, rest) = pass.split(2, Some(&[20, 99, 90, 10]));
        assert_eq!((first.items, first.output_indices, first.length), (vec![3, 0], vec![7, 8], 20));
        assert_eq!((rest.items, rest.output_indices, rest.length), (vec![2], vec![9], 90));
    }

    #[test]
    fn every_window_tells_its_row() {
        let pooling = Some(Pooling { output_ranges: vec![0..2, 2..3, 3..6], pool: Pool::Mean });
        let plan = Plan { passes: Vec::new(), items: 6, pooling, lengths: None, real: 0, padded: 0 };
        assert_eq!((0..6).map(|output_index| plan.row_of(output_index)).collect::<Vec<_>>(), [0, 0, 1, 2, 2, 2]);
    }
}

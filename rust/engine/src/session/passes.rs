//! Which units go through the program together.
//!
//! Where staged rows have lengths (texts, clips), passes are planned by length so that little is padding; else they are
//! consecutive. A unit's *place* is where its result goes: sound rows in their order, or windows of sound clips in theirs.

use std::ops::Range;

use crate::prepare::StagedRows;
use crate::prepare::audio::Pool;
use crate::prepare::text::plan_batches;

/// Padded tokens of one pass at the most, per row of [`LENGTH_PASS_ROWS`]: 2,048 tokens in all. More do not make a pass better (its
/// matrices fill a core at 1,000), only longer, and a kill waits for the pass: 8,192 tokens of MiniLM take over a second.
const TOKENS_A_ROW: usize = 32;

/// Images of one forward pass on a CPU: the activations of more fall out of a core's cache. EfficientNet-Lite0 f32, two tasks on
/// two cores with 2 MiB of L2 each: 112, 102, 100, 90, 86 images/s at 2, 4, 8, 16, 32 images a pass.
pub(super) const IMAGE_PASS_ROWS: usize = 4;

/// Rows of one pass planned by length.
const LENGTH_PASS_ROWS: usize = 64;

/// One forward pass.
pub(super) struct Pass {
    /// Units of the staged rows.
    pub(super) units: Vec<usize>,
    /// Where the result of each goes.
    pub(super) places: Vec<usize>,
    /// What to pad to; 0 where rows have no length.
    pub(super) length: usize,
}

/// How results of units become results of rows.
pub(super) struct Pooling {
    /// Places of each sound row.
    pub(super) places: Vec<Range<usize>>,
    pub(super) pool: Pool,
}

/// All passes of a batch.
pub(super) struct Plan {
    pub(super) passes: Vec<Pass>,
    /// Places in all.
    pub(super) units: usize,
    pub(super) pooling: Option<Pooling>,
    /// Tokens or samples of the units.
    pub(super) real: u64,
    /// The same with padding.
    pub(super) padded: u64,
}

/// Plans passes of at most `max_rows` units over the sound rows. Inputs beside one with windows must be windowed alike.
pub(super) fn plan<'a>(inputs: impl Iterator<Item = &'a StagedRows>, sound: &[usize], max_rows: usize) -> Plan {
    let inputs: Vec<_> = inputs.collect();
    let windows = inputs.iter().find_map(|rows| match rows {
        StagedRows::Clips { units, pool, .. } => Some((units, *pool)),
        _ => None,
    });
    let (units, pooling): (Vec<usize>, Option<Pooling>) = match windows {
        None => (sound.to_vec(), None),
        Some((ranges, pool)) => {
            let mut units = Vec::new();
            let mut places = Vec::with_capacity(sound.len());
            for &row in sound {
                let first = units.len();
                units.extend(ranges[row].clone());
                places.push(first..units.len());
            }
            let one_each = places.iter().all(|p| p.len() == 1);
            (units, (!one_each).then_some(Pooling { places, pool }))
        }
    };
    let lengths: Option<Vec<usize>> =
        inputs.iter().filter_map(|rows| rows.lengths()).reduce(|a, b| a.iter().zip(&b).map(|(x, y)| *x.max(y)).collect());
    let (passes, real, padded) = match lengths {
        None => (consecutive(&units, max_rows), 0, 0),
        Some(lengths) => by_length(&units, &lengths, max_rows, windows.is_some()),
    };
    Plan { passes, units: units.len(), pooling, real, padded }
}

fn consecutive(units: &[usize], max_rows: usize) -> Vec<Pass> {
    let mut place = 0;
    let pass = |chunk: &[usize]| {
        let places = (place..place + chunk.len()).collect();
        place += chunk.len();
        Pass { units: chunk.to_vec(), places, length: 0 }
    };
    units.chunks(max_rows.max(1)).map(pass).collect()
}

fn by_length(units: &[usize], lengths: &[usize], max_rows: usize, is_audio: bool) -> (Vec<Pass>, u64, u64) {
    let of_units: Vec<usize> = units.iter().map(|&unit| lengths[unit]).collect();
    let rows = max_rows.min(LENGTH_PASS_ROWS);
    // A pass of clips may be as large as its rows at the longest clip's length would be; of texts, as rows of usual length are.
    let usual = if is_audio { of_units.iter().copied().max().unwrap_or(1) } else { TOKENS_A_ROW };
    let buckets = plan_batches(&of_units, rows, rows * usual);
    let real = of_units.iter().map(|n| *n as u64).sum();
    let padded = buckets.iter().map(|b| b.padded() as u64).sum();
    let passes = buckets
        .into_iter()
        .map(|bucket| Pass { units: bucket.rows.iter().map(|&place| units[place]).collect(), places: bucket.rows, length: bucket.length })
        .collect();
    (passes, real, padded)
}

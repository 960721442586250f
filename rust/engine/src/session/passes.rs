//! Which units go through the program together.
//!
//! If staged rows have lengths (texts, clips), passes are planned by length so that there is little padding; otherwise they are
//! consecutive. A unit's *place* is where its result goes: sound rows in their order, or windows of sound clips in theirs.

use std::ops::Range;

use flambeau_media::audio::Pool;
use flambeau_media::text::plan_batches;

use crate::prepare::StagedRows;

/// Maximum padded tokens of one pass, per row of [`LENGTH_PASS_ROWS`]: 2,048 tokens in total. More tokens do not make a pass more
/// efficient (its matrices keep a core busy from 1,000), only longer, and a killed task waits for its pass: 8,192 tokens of
/// MiniLM take over a second.
const TOKENS_A_ROW: usize = 32;

/// Rows of one pass planned by length.
const LENGTH_PASS_ROWS: usize = 64;

/// One forward pass.
#[derive(Debug, Clone)]
pub(super) struct Pass {
    /// Units of the staged rows.
    pub(super) units: Vec<usize>,
    /// Where the result of each goes.
    pub(super) places: Vec<usize>,
    /// The length to pad to; 0 if rows have no length.
    pub(super) length: usize,
    /// Whether it repeats a part of a pass that failed.
    pub(super) again: bool,
}

impl Pass {
    /// Its first `rows` rows, and the others; each is padded only to its own longest row.
    pub(super) fn split(mut self, rows: usize, lengths: Option<&[usize]>) -> (Self, Self) {
        let (units, places) = (self.units.split_off(rows), self.places.split_off(rows));
        let mut rest = Self { units, places, length: self.length, again: self.again };
        for part in [&mut self, &mut rest] {
            if let Some(longest) = lengths.and_then(|lengths| part.units.iter().filter_map(|unit| lengths.get(*unit)).max()) {
                part.length = (*longest).max(1);
            }
        }
        (self, rest)
    }

    pub(super) fn again(self) -> Self {
        Self { again: true, ..self }
    }
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
    /// Of every staged unit, if units have lengths.
    pub(super) lengths: Option<Vec<usize>>,
    /// Tokens or samples of the units.
    pub(super) real: u64,
    /// The same with padding.
    pub(super) padded: u64,
}

impl Plan {
    /// The sound row, by its position, that the result at this place belongs to.
    pub(super) fn row_of(&self, place: usize) -> usize {
        self.pooling.as_ref().map_or(place, |pooling| pooling.places.partition_point(|places| places.end <= place))
    }

    /// A pass of this place alone.
    pub(super) fn alone(&self, place: usize) -> Option<Pass> {
        let pass = self.passes.iter().find(|pass| pass.places.contains(&place))?;
        let at = pass.places.iter().position(|p| *p == place)?;
        let one = Pass { units: vec![pass.units[at]], places: vec![place], length: pass.length, again: false };
        Some(one.split(1, self.lengths.as_deref()).0)
    }
}

/// Plans passes of at most `max_rows` units over the sound rows. If one input has windows, the others must have the same windows.
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
    let (passes, real, padded) = match &lengths {
        None => (consecutive(&units, max_rows), 0, 0),
        Some(lengths) => by_length(&units, lengths, max_rows, windows.is_some()),
    };
    Plan { passes, units: units.len(), pooling, lengths, real, padded }
}

fn consecutive(units: &[usize], max_rows: usize) -> Vec<Pass> {
    let mut place = 0;
    let pass = |chunk: &[usize]| {
        let places = (place..place + chunk.len()).collect();
        place += chunk.len();
        Pass { units: chunk.to_vec(), places, length: 0, again: false }
    };
    units.chunks(max_rows.max(1)).map(pass).collect()
}

fn by_length(units: &[usize], lengths: &[usize], max_rows: usize, is_audio: bool) -> (Vec<Pass>, u64, u64) {
    let of_units: Vec<usize> = units.iter().map(|&unit| lengths[unit]).collect();
    let rows = max_rows.min(LENGTH_PASS_ROWS);
    // The limit for clips is the size of full passes with clips of the longest length; for texts, with rows of the usual length.
    let usual = if is_audio { of_units.iter().copied().max().unwrap_or(1) } else { TOKENS_A_ROW };
    let buckets = plan_batches(&of_units, rows, rows * usual);
    let real = of_units.iter().map(|n| *n as u64).sum();
    let padded = buckets.iter().map(|b| b.padded() as u64).sum();
    let passes = buckets
        .into_iter()
        .map(|bucket| {
            let units = bucket.rows.iter().map(|&place| units[place]).collect();
            Pass { units, places: bucket.rows, length: bucket.length, again: false }
        })
        .collect();
    (passes, real, padded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_pass_are_padded_no_further_than_their_own_rows_need() {
        let pass = Pass { units: vec![3, 0, 2], places: vec![7, 8, 9], length: 90, again: false };
        let (first, rest) = pass.split(2, Some(&[20, 99, 90, 10]));
        assert_eq!((first.units, first.places, first.length), (vec![3, 0], vec![7, 8], 20));
        assert_eq!((rest.units, rest.places, rest.length), (vec![2], vec![9], 90));
    }

    #[test]
    fn every_window_tells_its_row() {
        let pooling = Some(Pooling { places: vec![0..2, 2..3, 3..6], pool: Pool::Mean });
        let plan = Plan { passes: Vec::new(), units: 6, pooling, lengths: None, real: 0, padded: 0 };
        assert_eq!((0..6).map(|place| plan.row_of(place)).collect::<Vec<_>>(), [0, 0, 1, 2, 2, 2]);
    }
}

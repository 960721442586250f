//! Resizing with Pillow's arithmetic: separable filters, each pass rounded to bytes, fed with rows from the top.
//!
//! Only pixels inside the crop are computed. Every output pixel depends only on its own taps, so the result is that of resizing
//! the whole picture and cropping it afterwards. The memory does not depend on the height of the picture: the vertical pass keeps
//! the sums of the few output rows that are open.

use std::collections::VecDeque;

use super::axis::{Axis, Taps};
use super::narrow::{Columns, HALF};
use super::picture::PIXEL_BYTES;
use super::sums;

/// Both passes over the pixels within reach.
pub(super) struct Resampler {
    across: Option<Columns>,
    down: Option<RowPass>,
    down_first: bool,
    /// A row after the horizontal pass.
    line: Vec<u8>,
    /// The next row.
    next: usize,
}

impl Resampler {
    /// `down_first`: whether the vertical pass comes first. The order matters, since each pass rounds to bytes.
    pub(super) fn new(across: Axis, down: Axis, down_first: bool) -> Self {
        let line = vec![0; across.count * PIXEL_BYTES];
        let row_bytes = if down_first { across.reach.len() } else { across.count } * PIXEL_BYTES;
        let down = down.taps.map(|taps| RowPass::new(taps, row_bytes));
        let (reach, count) = (across.reach.len(), across.count);
        let columns = across.taps.map(|taps| Columns::new(taps, reach, count));
        Self { across: columns, down, down_first, line, next: 0 }
    }

    /// Takes the next row within reach (RGBA, its pixels within reach) and passes the rows that are then complete to
    /// `emit(output row, RGBA bytes)`.
    pub(super) fn push(&mut self, row: &[u8], mut emit: impl FnMut(usize, &[u8])) {
        let Self { across, down, down_first, line, next } = self;
        let y = *next;
        *next += 1;
        let mut narrow = |row: &[u8], then: &mut dyn FnMut(&[u8])| match across {
            Some(columns) => {
                columns.run(row, line);
                then(line);
            }
            None => then(row),
        };
        match down {
            None => narrow(row, &mut |row| emit(y, row)),
            Some(pass) if *down_first => pass.add(y, row, &mut |y, row: &[u8]| narrow(row, &mut |row| emit(y, row))),
            Some(pass) => narrow(row, &mut |row| pass.add(y, row, &mut emit)),
        }
    }
}

/// The vertical filter.
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
    fn add(&mut self, y: usize, row: &[u8], emit: &mut impl FnMut(usize, &[u8])) {
        while self.taps.span(self.opened).is_some_and(|(first, _)| first <= y) {
            let mut sums = self.spare.pop().unwrap_or_default();
            sums.clear();
            sums.resize(row.len(), HALF);
            self.open.push_back(sums);
            self.opened += 1;
        }
        for (at, open) in self.open.iter_mut().enumerate() {
            let (first, weights) = self.taps.of(self.closed + at);
            let Some(&weight) = weights.get(y - first) else { continue };
            sums::add(open, row, weight);
        }
        while self.open.front().is_some() && self.taps.span(self.closed).is_some_and(|(first, count)| first + count <= y + 1) {
            if let Some(closing) = self.open.pop_front() {
                sums::finish(&closing, &mut self.finished);
                emit(self.closed, &self.finished);
                self.spare.push(closing);
                self.closed += 1;
            }
        }
    }
}

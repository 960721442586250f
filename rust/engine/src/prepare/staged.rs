//! Prepared rows that wait for their forward pass.

use std::ops::Range;

use flambeau_media::audio::Pool;
use flambeau_media::image::Placement;
use flambeau_media::text::TokenRow;
use tch::{TchError, Tensor};

use crate::RowError;

/// The result of staging a column.
#[derive(Debug)]
pub struct Staged {
    /// All of them.
    pub rows: StagedRows,
    /// Positions (in the list of staged rows) that failed, with the reason.
    pub errors: Vec<(usize, RowError)>,
    /// Of images: how each was prepared; of wrong ones anything.
    pub placements: Vec<Placement>,
}

/// An item is one row of the program's batch dimension: a row of the column, or a window of a clip.
#[derive(Debug)]
pub enum StagedRows {
    /// One tensor, an item per row; wrong rows hold anything.
    Dense(Tensor),
    /// Token ids; wrong rows are empty.
    Tokens(Vec<TokenRow>),
    /// Nothing: another input's rows have this one's content, as with the second text of a pair.
    Elsewhere,
    /// Samples of every item, and the items of every staged row.
    Clips {
        /// Samples of each item.
        clips: Vec<Vec<f32>>,
        /// Which items belong to each staged row.
        items: Vec<Range<usize>>,
        /// How the results of a row's items become one.
        pool: Pool,
    },
}

impl StagedRows {
    /// Lengths of all items, if they have any.
    #[must_use]
    pub fn lengths(&self) -> Option<Vec<usize>> {
        match self {
            Self::Dense(_) | Self::Elsewhere => None,
            Self::Tokens(rows) => Some(rows.iter().map(TokenRow::len).collect()),
            Self::Clips { clips, .. } => Some(clips.iter().map(Vec::len).collect()),
        }
    }
}

/// Rows `items` of `tensor`: a view if they are consecutive, otherwise a copy in the same layout.
pub(super) fn select(tensor: &Tensor, items: &[usize]) -> Result<Tensor, TchError> {
    let Some(&first) = items.first() else { return tensor.f_narrow(0, 0, 0) };
    let consecutive = items.iter().enumerate().all(|(i, item)| *item == first + i);
    if consecutive {
        return tensor.f_narrow(0, first as i64, items.len() as i64);
    }
    let index: Vec<i64> = items.iter().map(|item| *item as i64).collect();
    let index = Tensor::f_from_slice(&index)?;
    // Images have their channels last, which a plain selection would not keep.
    if tensor.dim() == 4 && !tensor.is_contiguous() {
        return tensor.f_permute([0, 2, 3, 1])?.f_index_select(0, &index)?.f_permute([0, 3, 1, 2]);
    }
    tensor.f_index_select(0, &index)
}

/// Pseudo-random numbers between -1 and 1, the same each time.
pub(super) fn made_up(out: &mut [f32]) {
    let mut state = 1_u32;
    for value in out {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *value = (state >> 8) as f32 / (1 << 23) as f32 - 1.0;
    }
}

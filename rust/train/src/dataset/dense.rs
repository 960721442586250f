//! A dense column of a finished dataset: the bytes of every row's tensor, as views of the mapped file.

use std::sync::Arc;

use arrow_array::{Array, FixedSizeBinaryArray};
use flambeau_engine::memory;
use flambeau_engine::package::Dtype;
use tch::{TchError, Tensor};

/// See the module.
#[derive(Debug, Clone)]
pub(crate) struct Dense {
    pub(crate) shape: Vec<usize>,
    pub(crate) dtype: Dtype,
    /// Values of a row.
    pub(crate) width: usize,
    /// Record batch by record batch.
    chunks: Vec<FixedSizeBinaryArray>,
    /// First row of each record batch, and the number of rows at the end.
    starts: Arc<Vec<usize>>,
}

impl Dense {
    pub(super) fn new(shape: Vec<usize>, dtype: Dtype, chunks: Vec<FixedSizeBinaryArray>, starts: Arc<Vec<usize>>) -> Self {
        Self { width: shape.iter().product(), shape, dtype, chunks, starts }
    }

    /// Rows in this order, as one tensor `[rows, shape…]`.
    pub(crate) fn gather(&self, rows: &[u32]) -> Result<Tensor, TchError> {
        let shape: Vec<i64> = std::iter::once(rows.len()).chain(self.shape.iter().copied()).map(|n| n as i64).collect();
        memory::of_bytes(&shape, memory::kind_of(self.dtype), rows.iter().map(|row| self.bytes(*row as usize)))
    }

    /// Bytes of a row.
    pub(crate) fn row_bytes(&self) -> usize {
        self.width * self.dtype.bytes()
    }

    /// The first row of labels with a value that `wanted` is true for, and that value.
    pub(crate) fn find(&self, wanted: impl Fn(f64) -> bool) -> Option<(usize, f64)> {
        let count = self.starts.last().copied().unwrap_or(0);
        (0..count).find_map(|row| self.numbers(row).find(|value| wanted(*value)).map(|value| (row, value)))
    }

    /// A row's values, of labels: those are f64.
    pub(crate) fn numbers(&self, row: usize) -> impl Iterator<Item = f64> + '_ {
        self.bytes(row).as_chunks().0.iter().map(|bytes| f64::from_ne_bytes(*bytes))
    }

    fn bytes(&self, row: usize) -> &[u8] {
        let (batch, position) = locate(&self.starts, row);
        self.chunks[batch].value(position)
    }

    /// Rows of the column.
    pub(crate) fn len(&self) -> usize {
        self.chunks.iter().map(Array::len).sum()
    }
}

/// Record batch and position of a row.
pub(super) fn locate(starts: &[usize], row: usize) -> (usize, usize) {
    let batch = starts.partition_point(|start| *start <= row).saturating_sub(1);
    (batch, row - starts[batch])
}

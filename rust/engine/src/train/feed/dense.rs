//! A dense column of a sealed feed: the bytes of every row's tensor, as views of the mapped file.

use std::sync::Arc;

use arrow_array::{Array, FixedSizeBinaryArray};
use flambeau_columns::bf16;
use flambeau_columns::f16;
use tch::{TchError, Tensor};

use crate::memory;
use crate::package::Dtype;

/// See the module.
#[derive(Debug, Clone)]
pub(in crate::train) struct Dense {
    pub(in crate::train) shape: Vec<usize>,
    pub(in crate::train) dtype: Dtype,
    /// Values of a row.
    pub(in crate::train) width: usize,
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
    pub(in crate::train) fn gather(&self, rows: &[u32]) -> Result<Tensor, TchError> {
        let shape: Vec<i64> = std::iter::once(rows.len()).chain(self.shape.iter().copied()).map(|n| n as i64).collect();
        memory::of_bytes(&shape, memory::kind_of(self.dtype), rows.iter().map(|row| self.bytes(*row as usize)))
    }

    /// Bytes of a row.
    pub(in crate::train) fn row_bytes(&self) -> usize {
        self.width * self.dtype.bytes()
    }

    /// The first row with a value that `wanted` is true for, and that value.
    pub(in crate::train) fn find(&self, wanted: impl Fn(f64) -> bool) -> Option<(usize, f64)> {
        let count = self.starts.last().copied().unwrap_or(0);
        (0..count).find_map(|row| self.numbers(row).find(|value| wanted(*value)).map(|value| (row, value)))
    }

    /// A row's values as f64.
    pub(in crate::train) fn numbers(&self, row: usize) -> impl Iterator<Item = f64> + '_ {
        let dtype = self.dtype;
        self.bytes(row).chunks_exact(dtype.bytes()).map(move |bytes| number(dtype, bytes))
    }

    fn bytes(&self, row: usize) -> &[u8] {
        let (batch, position) = locate(&self.starts, row);
        self.chunks[batch].value(position)
    }

    /// Rows of the column.
    pub(in crate::train) fn len(&self) -> usize {
        self.chunks.iter().map(Array::len).sum()
    }
}

/// Record batch and position of a row.
pub(super) fn locate(starts: &[usize], row: usize) -> (usize, usize) {
    let batch = starts.partition_point(|start| *start <= row).saturating_sub(1);
    (batch, row - starts[batch])
}

/// One value; `bytes` are as many as the dtype has.
#[expect(clippy::cast_precision_loss, reason = "integers beyond 2^53 are no labels")]
fn number(dtype: Dtype, bytes: &[u8]) -> f64 {
    let mut word = [0_u8; 8];
    word[..bytes.len()].copy_from_slice(bytes);
    let [a, b, c, d, ..] = word;
    match dtype {
        Dtype::F64 => f64::from_ne_bytes(word),
        Dtype::F32 => f64::from(f32::from_ne_bytes([a, b, c, d])),
        Dtype::F16 => f64::from(f16::from_ne_bytes([a, b])),
        Dtype::Bf16 => f64::from(bf16::from_ne_bytes([a, b])),
        Dtype::I64 => i64::from_ne_bytes(word) as f64,
        Dtype::I32 => f64::from(i32::from_ne_bytes([a, b, c, d])),
        Dtype::I16 => f64::from(i16::from_ne_bytes([a, b])),
        Dtype::I8 => f64::from(i8::from_ne_bytes([a])),
        Dtype::U8 | Dtype::Bool => f64::from(a),
    }
}

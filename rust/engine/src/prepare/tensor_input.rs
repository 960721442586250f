//! Columns of numbers into one tensor of the declared dtype and shape.

use std::collections::HashSet;
use std::ops::RangeInclusive;

use arrow_array::ArrayRef;
use flambeau_columns::{DenseError, bf16, dense, f16};
use tch::Tensor;

use super::guard::{self, StopFlag};
use super::staged::made_up;
use super::{Staged, StagedRows};
use crate::memory::{self, TensorElement};
use crate::package::Dtype;
use crate::{EngineError, RowError};

/// Of one input of numbers.
#[derive(Debug)]
pub struct TensorPreparer {
    dtype: Dtype,
    shape: Vec<usize>,
    /// The range of whole numbers that the model takes, if model.toml declares one.
    range: Option<RangeInclusive<i64>>,
}

impl TensorPreparer {
    pub(super) fn new(dtype: Dtype, shape: Vec<usize>) -> Self {
        Self { dtype, shape, range: None }
    }

    /// Takes only values from `min` to `max`.
    pub(super) fn within(self, min: Option<i64>, max: Option<i64>) -> Self {
        let is_bounded = min.is_some() || max.is_some();
        Self { range: is_bounded.then(|| min.unwrap_or(i64::MIN)..=max.unwrap_or(i64::MAX)), ..self }
    }

    /// The tensor of a row: element type and shape.
    #[must_use]
    pub fn row(&self) -> (Dtype, &[usize]) {
        (self.dtype, &self.shape)
    }

    pub(super) fn rank(&self) -> usize {
        self.shape.len()
    }

    pub(super) fn row_bytes(&self) -> u64 {
        (self.shape.iter().product::<usize>() * self.dtype.bytes()) as u64
    }

    pub(super) fn stage(&self, model: &str, column: &ArrayRef, rows: &[usize]) -> Result<Staged, EngineError> {
        let (tensor, errors) = match self.dtype {
            Dtype::F32 => self.gather::<f32>(model, column, rows),
            Dtype::F64 => self.gather::<f64>(model, column, rows),
            Dtype::F16 => self.gather::<f16>(model, column, rows),
            Dtype::Bf16 => self.gather::<bf16>(model, column, rows),
            Dtype::I64 => self.whole::<i64>(model, column, rows),
            Dtype::I32 => self.whole::<i32>(model, column, rows),
            Dtype::I16 => self.whole::<i16>(model, column, rows),
            Dtype::I8 => self.whole::<i8>(model, column, rows),
            Dtype::U8 => self.whole::<u8>(model, column, rows),
            Dtype::Bool => self.gather::<bool>(model, column, rows),
        }?;
        Ok(Staged { rows: StagedRows::Dense(tensor), errors, placements: Vec::new() })
    }

    /// Fractions between -1 and 1, or the smallest whole number from 0 on that the model takes.
    pub(super) fn sample(&self, rows: usize) -> Result<Vec<Tensor>, String> {
        let shape: Vec<i64> = std::iter::once(rows).chain(self.shape.iter().copied()).map(|n| n as i64).collect();
        let filled = memory::filled(&shape, |out: &mut [f32]| match &self.range {
            None if matches!(self.dtype, Dtype::F32 | Dtype::F64 | Dtype::F16 | Dtype::Bf16) => made_up(out),
            None => out.fill(0.0),
            Some(range) => out.fill(0.clamp(*range.start(), *range.end()) as f32),
        });
        let tensor = filled.and_then(|(tensor, ())| tensor.f_to_kind(memory::kind_of(self.dtype)));
        tensor.map(|tensor| vec![tensor]).map_err(|error| error.to_string())
    }

    fn gather<T: TensorElement>(
        &self,
        model: &str,
        column: &ArrayRef,
        rows: &[usize],
    ) -> Result<(Tensor, Vec<(usize, RowError)>), EngineError> {
        let shape: Vec<i64> = std::iter::once(rows.len()).chain(self.shape.iter().copied()).map(|n| n as i64).collect();
        let fill = |out: &mut [T]| self.gather_guarded(column, rows, out);
        let (tensor, errors) = memory::filled(&shape, fill).map_err(|error| EngineError::torch(model, error))?;
        Ok((tensor, errors))
    }

    /// As [`Self::gather`]; a value that the model does not take is an error of its row.
    fn whole<T: TensorElement + Into<i64>>(
        &self,
        model: &str,
        column: &ArrayRef,
        rows: &[usize],
    ) -> Result<(Tensor, Vec<(usize, RowError)>), EngineError> {
        let (tensor, mut errors) = self.gather::<T>(model, column, rows)?;
        let (Some(range), Some(values)) = (&self.range, memory::values::<T>(&tensor)) else { return Ok((tensor, errors)) };
        let size = self.shape.iter().product::<usize>().max(1);
        let wrong: HashSet<usize> = errors.iter().map(|(row, _)| *row).collect();
        for (row, values) in values.chunks(size).enumerate().filter(|(row, _)| !wrong.contains(row)) {
            if let Some(value) = values.iter().map(|value| (*value).into()).find(|value| !range.contains(value)) {
                errors.push((row, outside(value, range)));
            }
        }
        errors.sort_by_key(|(row, _)| *row);
        Ok((tensor, errors))
    }

    /// All rows at once, without a cost per row. Only after a panic one by one, to find the row that caused it.
    fn gather_guarded<T: TensorElement>(&self, column: &ArrayRef, rows: &[usize], out: &mut [T]) -> Vec<(usize, RowError)> {
        let stop = StopFlag::default();
        let errors = |found: Vec<(usize, DenseError)>| found.into_iter().map(|(i, error)| (i, RowError::Dense(error))).collect();
        if let Ok(found) = guard::row(&stop, || Ok::<_, RowError>(dense::gather(column, &self.shape, rows, out))) {
            return errors(found);
        }
        let size: usize = self.shape.iter().product();
        let one = |i: usize, out: &mut [T]| match dense::gather(column, &self.shape, &rows[i..=i], &mut out[i * size..(i + 1) * size]).pop()
        {
            Some((_, error)) => Err(error),
            None => Ok(()),
        };
        (0..rows.len()).filter_map(|i| guard::row(&stop, || one(i, out)).err().map(|error| (i, error))).collect()
    }
}

fn outside(value: i64, range: &RangeInclusive<i64>) -> RowError {
    let (side, limit, key) = if value < *range.start() {
        ("below", format!("{}, the least", range.start()), "min")
    } else {
        ("above", format!("{}, the largest", range.end()), "max")
    };
    RowError::Outside { value, side, limit, key }
}

//! Columns of numbers into one tensor of the declared dtype and shape.

use arrow_array::ArrayRef;
use flambeau_columns::{bf16, dense, f16};
use tch::Tensor;

use super::{Staged, StagedRows};
use crate::memory::{self, TensorElement};
use crate::package::Dtype;
use crate::{EngineError, RowFault};

#[derive(Debug)]
pub(crate) struct TensorPreparer {
    dtype: Dtype,
    shape: Vec<usize>,
}

impl TensorPreparer {
    pub(super) fn new(dtype: Dtype, shape: Vec<usize>) -> Self {
        Self { dtype, shape }
    }

    pub(crate) fn is_f32(&self) -> bool {
        self.dtype == Dtype::F32
    }

    pub(super) fn rank(&self) -> usize {
        self.shape.len()
    }

    pub(super) fn row_bytes(&self) -> u64 {
        let width = match self.dtype {
            Dtype::F64 | Dtype::I64 => 8,
            Dtype::F32 | Dtype::I32 => 4,
            Dtype::F16 | Dtype::Bf16 | Dtype::I16 => 2,
            Dtype::I8 | Dtype::U8 | Dtype::Bool => 1,
        };
        (self.shape.iter().product::<usize>() * width) as u64
    }

    pub(super) fn stage(&self, model: &str, column: &ArrayRef, rows: &[usize]) -> Result<Staged, EngineError> {
        let (tensor, faults) = match self.dtype {
            Dtype::F32 => self.gather::<f32>(model, column, rows),
            Dtype::F64 => self.gather::<f64>(model, column, rows),
            Dtype::F16 => self.gather::<f16>(model, column, rows),
            Dtype::Bf16 => self.gather::<bf16>(model, column, rows),
            Dtype::I64 => self.gather::<i64>(model, column, rows),
            Dtype::I32 => self.gather::<i32>(model, column, rows),
            Dtype::I16 => self.gather::<i16>(model, column, rows),
            Dtype::I8 => self.gather::<i8>(model, column, rows),
            Dtype::U8 => self.gather::<u8>(model, column, rows),
            Dtype::Bool => self.gather::<bool>(model, column, rows),
        }?;
        Ok(Staged { rows: StagedRows::Dense(tensor), faults })
    }

    fn gather<T: TensorElement>(
        &self,
        model: &str,
        column: &ArrayRef,
        rows: &[usize],
    ) -> Result<(Tensor, Vec<(usize, RowFault)>), EngineError> {
        let shape: Vec<i64> = std::iter::once(rows.len()).chain(self.shape.iter().copied()).map(|n| n as i64).collect();
        let fill = |out: &mut [T]| dense::gather(column, &self.shape, rows, out);
        let (tensor, faults) = memory::filled(&shape, fill).map_err(|error| EngineError::torch(model, error))?;
        Ok((tensor, faults.into_iter().map(|(i, fault)| (i, RowFault::Dense(fault))).collect()))
    }
}

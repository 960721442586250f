//! The vectors of a block, dense and rows one after another: what a matrix product takes.

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, Float32Array};
use arrow_buffer::ArrowNativeType;
use tch::Tensor;

use super::NAME;
use super::metric::{Metric, sum};
use crate::{EngineError, RowError, memory};

/// Only those that can be compared: see the module's rule.
#[derive(Debug)]
pub(super) struct Vectors {
    /// `[rows, dimension]`.
    tensor: Tensor,
    dimension: usize,
    places: Vec<usize>,
    lengths: Vec<f64>,
}

impl Vectors {
    /// Copies the vectors of a column of lists.
    ///
    /// # Errors
    /// One has another number of elements than `dimension`, or, where that is not given, than the first.
    pub(super) fn read(column: &ArrayRef, dimension: Option<usize>, metric: Metric) -> Result<Self, EngineError> {
        let internal = || EngineError::Internal(format!("vectors are lists of f32, not {}", column.data_type()));
        let lists = column.as_list_opt::<i32>().ok_or_else(internal)?;
        let numbers = lists.values().as_primitive_opt::<Float32Type>().ok_or_else(internal)?;
        let ends: Vec<usize> = lists.value_offsets().iter().map(|offset| offset.as_usize()).collect();
        let complete = |row: &usize| lists.is_valid(*row) && !has_null(numbers, ends[*row], ends[row + 1]);
        let given: Vec<_> = (0..lists.len()).filter(complete).map(|row| (row, &numbers.values()[ends[row]..ends[row + 1]])).collect();
        let dimension = dimension.or_else(|| given.first().map(|(_, vector)| vector.len())).unwrap_or(0);
        if let Some((row, vector)) = given.iter().find(|(_, vector)| vector.len() != dimension) {
            let error = RowError::Elements { expected: dimension, actual: vector.len() };
            return Err(EngineError::BadInput { row: *row, input: String::new(), error });
        }
        let measured = given.into_iter().map(|(row, vector)| (row, vector, sum(vector, vector, |a, b| a * b).sqrt()));
        let usable: Vec<_> = measured.filter(|(_, _, length)| length.is_finite() && (metric != Metric::Cosine || *length > 0.0)).collect();
        let (tensor, ()) = memory::filled::<f32, _>(&[usable.len() as i64, dimension as i64], |out| {
            for ((_, vector, _), place) in usable.iter().zip(out.chunks_exact_mut(dimension.max(1))) {
                place.copy_from_slice(vector);
            }
        })
        .map_err(|error| EngineError::torch(NAME, error))?;
        let (places, lengths) = usable.iter().map(|(row, _, length)| (*row, *length)).unzip();
        Ok(Self { tensor, dimension, places, lengths })
    }

    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Elements of each.
    pub(super) fn dimension(&self) -> usize {
        self.dimension
    }

    /// `[rows, dimension]`.
    pub(super) fn tensor(&self) -> &Tensor {
        &self.tensor
    }

    /// The row of the batch of each.
    pub(super) fn places(&self) -> &[usize] {
        &self.places
    }

    /// The Euclidean length of each.
    pub(super) fn lengths(&self) -> &[f64] {
        &self.lengths
    }

    /// Each by its index.
    ///
    /// # Errors
    /// The tensor is not dense: a bug.
    pub(super) fn rows(&self) -> Result<Rows<'_>, EngineError> {
        let values = memory::values::<f32>(&self.tensor).ok_or_else(|| EngineError::Internal("vectors are not dense".to_owned()))?;
        Ok(Rows { values, dimension: self.dimension })
    }
}

/// Vectors, one after another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rows<'a> {
    values: &'a [f32],
    dimension: usize,
}

impl<'a> Rows<'a> {
    pub(super) fn get(self, index: usize) -> &'a [f32] {
        &self.values[index * self.dimension..(index + 1) * self.dimension]
    }
}

fn has_null(numbers: &Float32Array, from: usize, to: usize) -> bool {
    numbers.null_count() > 0 && (from..to).any(|i| numbers.is_null(i))
}

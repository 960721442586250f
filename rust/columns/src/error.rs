//! Errors of a column (its type) and of a row (its content).

use arrow_schema::DataType;

/// A column whose type does not fit; found before any row is read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ColumnError {
    /// The type is not one of those that this input takes.
    #[error("the column has type {actual}; expected {expected}")]
    Type {
        /// The expected types, in words.
        expected: String,
        /// The Arrow type of the column.
        actual: String,
    },
}

impl ColumnError {
    pub(crate) fn of(expected: impl Into<String>, actual: &DataType) -> Self {
        Self::Type { expected: expected.into(), actual: actual.to_string() }
    }
}

/// One row's content that does not make a tensor of the declared shape and dtype.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum DenseError {
    /// A list's length differs from the shape at this dimension.
    #[error("dimension {dimension} has {actual} values; the model takes {expected} (shape {shape:?})")]
    Length {
        /// Dimension within the row, from 0.
        dimension: usize,
        /// Number of values in the shape.
        expected: usize,
        /// Values that the row has.
        actual: usize,
        /// The whole shape of a row.
        shape: Vec<usize>,
    },
    /// NULL inside a list.
    #[error("a value inside the array is NULL")]
    NullInside,
    /// A number that the tensor's dtype cannot hold.
    #[error("the value {value} does not fit dtype {dtype}")]
    Value {
        /// As it came.
        value: String,
        /// The tensor's.
        dtype: &'static str,
    },
}

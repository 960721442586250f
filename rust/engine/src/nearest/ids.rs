//! The ids of rows: whole numbers, or texts as bytes, which Spark orders as unsigned numbers too.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array};
use arrow_schema::DataType;

use crate::EngineError;

/// One id. Those of one search are all of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Id {
    Number(i64),
    Text(Box<[u8]>),
}

/// The ids of a batch.
#[derive(Debug)]
pub(super) enum Ids {
    Numbers(Int64Array),
    Texts(BinaryArray),
}

impl Ids {
    /// # Errors
    /// The column holds something else.
    pub(super) fn of(column: &ArrayRef) -> Result<Self, EngineError> {
        match column.data_type() {
            DataType::Int64 => Ok(Self::Numbers(column.as_primitive::<Int64Type>().clone())),
            DataType::Binary => Ok(Self::Texts(column.as_binary::<i32>().clone())),
            other => Err(wrong(other)),
        }
    }

    pub(super) fn get(&self, row: usize) -> Id {
        match self {
            Self::Numbers(ids) => Id::Number(ids.value(row)),
            Self::Texts(ids) => Id::Text(ids.value(row).into()),
        }
    }
}

/// A column of this type from ids.
///
/// # Errors
/// They are of another kind, or have more than 2 GiB together.
pub(super) fn column(ids: Vec<Id>, data_type: &DataType) -> Result<ArrayRef, EngineError> {
    let mut numbers = Vec::new();
    let mut texts = Vec::new();
    for id in ids {
        match id {
            Id::Number(number) => numbers.push(number),
            Id::Text(text) => texts.push(text),
        }
    }
    match data_type {
        DataType::Int64 if texts.is_empty() => Ok(Arc::new(Int64Array::from(numbers))),
        DataType::Binary if numbers.is_empty() => {
            if i32::try_from(texts.iter().map(|text| text.len()).sum::<usize>()).is_err() {
                return Err(EngineError::BadRequest("the ids of a block's neighbors have more than 2 GiB: use shorter ids".to_owned()));
            }
            Ok(Arc::new(BinaryArray::from_iter_values(texts)))
        }
        other => Err(wrong(other)),
    }
}

fn wrong(other: &DataType) -> EngineError {
    EngineError::Internal(format!("ids are 64-bit integers or bytes, not {other}"))
}

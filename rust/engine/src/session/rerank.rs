//! `rerank`: how well the second text of a pair fits the first, one number.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array};

use super::results::{Context, activated, scalars};
use super::roles;
use crate::EngineError;

/// f32 of each row, after the output's activation.
pub(super) fn scores(context: &Context) -> Result<ArrayRef, EngineError> {
    let (index, output) = roles::rerank(context.package)?;
    let values = match context.outputs.get(index) {
        Some(scores) => activated(scores, output.activation).map_err(|error| context.torch(error))?,
        None => Vec::new(),
    };
    let values: ArrayRef = Arc::new(Float32Array::from(values));
    scalars(&values, context.present)
}

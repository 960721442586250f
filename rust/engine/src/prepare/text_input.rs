//! String columns into token tensors.

use arrow_array::ArrayRef;
use flambeau_columns::TextColumn;
use flambeau_media::text::{Bucket, TextPreparer, TextSpec, TokenRow};
use rayon::prelude::*;
use tch::{TchError, Tensor};

use super::guard::{self, StopFlag};
use super::{Staged, StagedRows};
use crate::{EngineError, Package, pool};

/// A text of usual length.
const SAMPLE: &str = "A lamp stood on the table by the window, and the rain went on all night over the roofs of the town.";

/// Of one text input.
#[derive(Debug)]
pub struct TextInputPreparer {
    text: TextPreparer,
}

impl TextInputPreparer {
    pub(super) fn open(package: &Package, spec: &TextSpec) -> Result<Self, EngineError> {
        let name = &package.descriptor.name;
        if !package.descriptor.files.contains_key(&spec.tokenizer) {
            return Err(EngineError::model(name, format!("the tokenizer is '{}', which [files] does not list", spec.tokenizer)));
        }
        let text = TextPreparer::open(&package.directory, spec).map_err(|error| EngineError::model(name, error))?;
        Ok(Self { text })
    }

    pub(super) fn tensors(&self) -> usize {
        self.text.inputs().len()
    }

    /// Ids and mask of a row of full length, once as tokens and once as tensors.
    pub(super) fn row_bytes(&self) -> u64 {
        (self.text.max_length().unwrap_or(512) * (8 * self.tensors() + 8)) as u64
    }

    pub(super) fn stage(&self, column: &ArrayRef, rows: &[usize], stop: &StopFlag) -> Result<Staged, EngineError> {
        let texts = TextColumn::try_new(column).map_err(|error| EngineError::Internal(error.to_string()))?;
        let encode = |row: usize| guard::row(stop, || self.text.encode_bytes(texts.value(row)));
        let encoded: Vec<_> = pool::install(|| rows.par_iter().map(|&row| encode(row)).collect());
        let mut errors = Vec::new();
        let tokens = encoded
            .into_iter()
            .enumerate()
            .map(|(i, row)| {
                row.unwrap_or_else(|error| {
                    errors.push((i, error));
                    TokenRow::default()
                })
            })
            .collect();
        Ok(Staged { rows: StagedRows::Tokens(tokens), errors, placements: Vec::new() })
    }

    pub(super) fn sample(&self, rows: usize) -> Result<Vec<Tensor>, String> {
        let row = self.text.encode(SAMPLE).map_err(|error| error.to_string())?;
        let length = row.len().max(1);
        let staged: Vec<TokenRow> = std::iter::repeat_n(row, rows).collect();
        let items: Vec<usize> = (0..rows).collect();
        self.assemble(&staged, &items, length).map_err(|error| error.to_string())
    }

    pub(super) fn assemble(&self, rows: &[TokenRow], items: &[usize], length: usize) -> Result<Vec<Tensor>, TchError> {
        let bucket = Bucket { rows: items.to_vec(), length };
        let shape = [items.len() as i64, length as i64];
        let tensor = |&input| Tensor::f_from_slice(&self.text.fill(rows, &bucket, input)).and_then(|t| t.f_view(shape));
        self.text.inputs().iter().map(tensor).collect()
    }
}

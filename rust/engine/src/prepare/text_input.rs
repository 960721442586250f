//! String columns into token tensors.
//!
//! A pair of texts is read by the preparer of its first input: its tokenizer encodes both. The second input gives no tensors; its preparer
//! ([`check_pair`]) only finds texts that are not UTF-8.

use arrow_array::ArrayRef;
use flambeau_columns::TextColumn;
use flambeau_media::text::{Bucket, TextPreparer, TextSpec, TokenRow, utf8};
use rayon::prelude::*;
use tch::{TchError, Tensor};

use super::guard::{self, StopFlag};
use super::{Limits, Staged, StagedRows};
use crate::{EngineError, Package, pool};

/// A text of usual length.
const SAMPLE: &str = "A lamp stood on the table by the window, and the rain went on all night over the roofs of the town.";

/// Of one text input.
#[derive(Debug)]
pub struct TextInputPreparer {
    text: TextPreparer,
    /// Which input is the second text of the pair.
    pub(super) pair: Option<usize>,
}

impl TextInputPreparer {
    pub(super) fn open(package: &Package, spec: &TextSpec, pair: Option<usize>) -> Result<Self, EngineError> {
        let name = &package.descriptor.name;
        if !package.descriptor.files.contains_key(&spec.tokenizer) {
            return Err(EngineError::model(name, format!("the tokenizer is '{}', which [files] does not list", spec.tokenizer)));
        }
        let open = if pair.is_some() { TextPreparer::open_for_pairs } else { TextPreparer::open };
        let text = open(&package.directory, spec).map_err(|error| EngineError::model(name, error))?;
        Ok(Self { text, pair })
    }

    pub(super) fn pads_left(&self) -> bool {
        self.text.pads_left()
    }

    pub(super) fn tensors(&self) -> usize {
        self.text.inputs().len()
    }

    /// Ids and mask of a row of full length, once as tokens and once as tensors.
    pub(super) fn row_bytes(&self) -> u64 {
        (self.text.max_length().unwrap_or(512) * (8 * self.tensors() + 8)) as u64
    }

    /// `second`: the column of the other text, if there is one.
    pub(super) fn stage(
        &self,
        column: &ArrayRef,
        second: Option<&ArrayRef>,
        rows: &[usize],
        limits: &Limits,
    ) -> Result<Staged, EngineError> {
        let texts = texts(column)?;
        let seconds = second.map(self::texts).transpose()?;
        let encode = |row: usize| {
            let second = seconds.as_ref().map(|seconds| seconds.value(row));
            if second.is_some_and(|text| utf8(text).is_err()) {
                return Ok(TokenRow::default()); // an error of the second input
            }
            guard::row(&limits.stop, || self.text.encode_row(texts.value(row), second, limits.offsets))
        };
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
        let second = self.pair.map(|_| SAMPLE.as_bytes());
        let row = self.text.encode_row(SAMPLE.as_bytes(), second, false).map_err(|error| error.to_string())?;
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

/// Stages nothing; finds the rows whose second text is not UTF-8.
pub(super) fn check_pair(column: &ArrayRef, rows: &[usize], stop: &StopFlag) -> Result<Staged, EngineError> {
    let texts = texts(column)?;
    let check = |row: usize| guard::row(stop, || utf8(texts.value(row)).map(drop));
    let errors = rows.iter().enumerate().filter_map(|(i, &row)| check(row).err().map(|error| (i, error))).collect();
    Ok(Staged { rows: StagedRows::Elsewhere, errors, placements: Vec::new() })
}

fn texts(column: &ArrayRef) -> Result<TextColumn, EngineError> {
    TextColumn::try_new(column).map_err(|error| EngineError::Internal(error.to_string()))
}

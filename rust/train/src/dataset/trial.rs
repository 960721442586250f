//! Tries rows of pictures, texts and sounds once when they are added: rows that inference would leave out are left out of training.
//!
//! A row is prepared as for a step, some at a time on the decode pool, and the result is dropped.

use arrow_array::ArrayRef;
use flambeau_engine::prepare::{Limits, Preparer, StagedRows, StopFlag};
use flambeau_engine::{EngineError, Package, RowError, memory};

use super::TrialSpec;

/// Rows that are prepared at a time.
const ROWS: usize = 32;

/// See the module.
pub(super) struct Trial {
    model: String,
    limits: Limits,
    preparers: Vec<(String, Preparer)>,
}

impl Trial {
    pub(super) fn open(spec: &TrialSpec) -> Result<Self, EngineError> {
        let package = Package::open(&spec.package)?;
        // Of pairs there are all inputs twice.
        let inputs = package.descriptor.inputs.iter().cycle().zip(&spec.inputs);
        let preparers = inputs.map(|(input, column)| Ok((column.clone(), Preparer::new(&package, input)?)));
        Ok(Self {
            model: package.descriptor.name.clone(),
            limits: Limits { images: spec.images, offsets: false, stop: StopFlag::default() },
            preparers: preparers.collect::<Result<_, EngineError>>()?,
        })
    }

    /// Which of these rows (none of them NULL) cannot be prepared, and why.
    pub(super) fn errors(&self, name: &str, column: &ArrayRef, rows: &[usize]) -> Result<Vec<(usize, String)>, EngineError> {
        let Some((_, preparer)) = self.preparers.iter().find(|(column, _)| column == name) else { return Ok(Vec::new()) };
        let mut errors = Vec::new();
        for rows in rows.chunks(ROWS) {
            // The texts of a pair are columns of their own here, tried one by one.
            let found = try_rows(&self.model, preparer, (column, None), rows, &self.limits)?.1;
            errors.extend(found.into_iter().map(|(position, error)| (rows[position], error.to_string())));
        }
        Ok(errors)
    }
}

/// The tensor of `rows` of a column (and of the column of second texts), and which of them (by position) cannot be trained on.
pub(crate) fn try_rows(
    model: &str,
    preparer: &Preparer,
    (column, second): (&ArrayRef, Option<&ArrayRef>),
    rows: &[usize],
    limits: &Limits,
) -> Result<(StagedRows, Vec<(usize, RowError)>), EngineError> {
    let staged = preparer.stage(model, column, second, rows, limits)?;
    let mut errors = staged.errors;
    let marked = rows.iter().enumerate().filter(|(_, row)| preparer.is_null_mark(column, **row));
    errors.extend(marked.map(|(i, _)| (i, RowError::Training("an image that Spark's reader could not decode".into()))));
    let bad = |i: &usize| errors.iter().any(|(position, _)| position == i);
    let is_picture = matches!(preparer, Preparer::Image(_)); // made of whole numbers
    let unreal: Vec<usize> = if is_picture { Vec::new() } else { not_finite(&staged.rows, rows.len()) };
    let unreal: Vec<usize> = unreal.into_iter().filter(|i| !bad(i)).collect();
    errors.extend(unreal.into_iter().map(|i| (i, RowError::Training(NOT_FINITE.into()))));
    errors.sort_by_key(|(position, _)| *position);
    Ok((staged.rows, errors))
}

/// The error of a row with such a value.
const NOT_FINITE: &str = "a value is NaN or infinite";

/// Positions of rows with a value that is NaN or infinite.
fn not_finite(staged: &StagedRows, rows: usize) -> Vec<usize> {
    match staged {
        StagedRows::Dense(tensor) => memory::rows_not_finite(tensor, rows),
        StagedRows::Tokens(_) | StagedRows::Elsewhere => Vec::new(),
        StagedRows::Clips { clips, items, .. } => {
            let bad = |range: &std::ops::Range<usize>| clips[range.clone()].iter().flatten().any(|sample| !sample.is_finite());
            items.iter().enumerate().filter(|(_, range)| bad(range)).map(|(i, _)| i).collect()
        }
    }
}

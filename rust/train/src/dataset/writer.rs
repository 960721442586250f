//! A dataset while rows arrive.
//!
//! A batch is checked column by column; a row is bad if any column rejects it. Bad rows are an error that names the first of
//! them, or are left out of all columns.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::BufWriter;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BooleanArray, FixedSizeBinaryArray, RecordBatch, RecordBatchOptions, StructArray};
use arrow_buffer::Buffer;
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Fields, Schema};
use flambeau_columns::dense;
use flambeau_engine::package::Dtype;
use flambeau_engine::prepare::{Limits, Preparer, StagedRows, StopFlag};
use flambeau_engine::{EngineError, RowError, memory};
use flambeau_media::image::ImageLimits;
use tch::Tensor;

use super::columns::{LABEL, RESERVED};
use super::trial::{Trial, try_rows};
use super::{DatasetSpec, DenseSpec, MAX_SHARDS, MappedDataset, RowColumns, Skipped, broken};
use crate::budget;
use crate::own_file::{FileGuard, own_file};

const BUFFER_BYTES: usize = 1 << 20;

/// A column as it is stored.
struct Stored {
    name: String,
    dense: Option<(DenseSpec, Preparer)>,
}

pub(super) struct DatasetWriter {
    spec: DatasetSpec,
    stored: Vec<Stored>,
    trial: Option<Trial>,
    schema: Arc<Schema>,
    rows: RowColumns,
    // Before the guard, so that the file is closed before it is deleted.
    writer: FileWriter<BufWriter<File>>,
    file: FileGuard,
}

/// Bad rows of a batch: input and cause of each.
type RowErrors = BTreeMap<usize, (String, RowError)>;

/// A checked column of the batch: the tensor of the rows that were good so far, or the column as it is.
enum Checked {
    Dense { tensor: Tensor, rows: Vec<usize> },
    Plain(ArrayRef),
}

impl DatasetWriter {
    pub(super) fn create(spec: DatasetSpec, columns: &Fields) -> Result<Self, EngineError> {
        if spec.shards > MAX_SHARDS {
            return Err(EngineError::BadRequest(format!("there can be at most {MAX_SHARDS} shards, not {}", spec.shards)));
        }
        let rows = RowColumns::new(columns, spec.dense.contains_key(LABEL), spec.label_range)?;
        let is_stored = |name: &str| !RESERVED.contains(&name) || spec.dense.contains_key(name);
        let (mut stored, mut fields) = (Vec::new(), Vec::new());
        if spec.dense.get(LABEL).is_some_and(|labels| labels.dtype != Dtype::F64) {
            return Err(EngineError::BadRequest("labels that are arrays are stored as f64".into()));
        }
        for column in columns.iter().filter(|f| is_stored(f.name())) {
            let (field, dense) = match spec.dense.get(column.name()) {
                None => (Field::clone(column), None),
                Some(dense) => {
                    dense::check_type(column.data_type(), dense.shape.len())
                        .map_err(|error| EngineError::Column { input: column.name().clone(), error })?;
                    let field = Field::new(column.name(), stored_type(column.name(), dense)?, false);
                    (field, Some((dense.clone(), Preparer::numbers(dense.dtype, dense.shape.clone()))))
                }
            };
            fields.push(field);
            stored.push(Stored { name: column.name().clone(), dense });
        }
        if let Some(missing) = spec.dense.keys().find(|name| !stored.iter().any(|s| s.name == **name)) {
            return Err(EngineError::BadRequest(format!("the dataset has no column '{missing}', which is named dense")));
        }
        let trial = spec.trial.as_ref().filter(|_| spec.skip_invalid).map(Trial::open).transpose()?;
        let schema = Arc::new(Schema::new(fields));
        std::fs::create_dir_all(&spec.directory).map_err(broken)?;
        let (out, file) = own_file(&spec.directory, "dataset", "arrow").map_err(broken)?;
        let writer = FileWriter::try_new(BufWriter::with_capacity(BUFFER_BYTES, out), &schema).map_err(broken)?;
        Ok(Self { spec, stored, trial, schema, rows, writer, file })
    }

    /// Returns the rows that were left out.
    pub(super) fn add(&mut self, batch: &StructArray) -> Result<Vec<Skipped>, EngineError> {
        let mut errors = RowErrors::new();
        self.rows.check(batch, self.spec.shards, &mut |row, input, cause| note(&mut errors, row, input, RowError::Training(cause)))?;
        let mut checked = Vec::with_capacity(self.stored.len());
        for stored in &self.stored {
            let missing = || EngineError::Internal(format!("the batch has no column {}", stored.name));
            let column = batch.column_by_name(&stored.name).ok_or_else(missing)?;
            checked.push(self.look_at(stored, column, &mut errors)?);
        }
        if !self.spec.skip_invalid
            && let Some((row, (input, error))) = errors.pop_first()
        {
            return Err(EngineError::BadInput { row, input, error });
        }
        let kept: BooleanArray = (0..batch.len()).map(|row| Some(!errors.contains_key(&row))).collect();
        let columns = checked.into_iter().zip(&self.schema.fields).map(|(one, field)| one.stored(&kept, field.data_type()));
        let columns = columns.collect::<Result<Vec<_>, EngineError>>()?;
        let rows = batch.len() - errors.len();
        if rows > 0 {
            self.rows.append(batch, &kept)?;
            let options = RecordBatchOptions::new().with_row_count(Some(rows));
            let record = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(broken)?;
            self.writer.write(&record).map_err(broken)?;
        }
        let skipped = |(row, (input, error)): (usize, (String, RowError))| Skipped { row, cause: text_of(&input, &error) };
        Ok(errors.into_iter().map(skipped).collect())
    }

    /// Checks a column's rows.
    fn look_at(&self, stored: &Stored, column: &ArrayRef, errors: &mut RowErrors) -> Result<Checked, EngineError> {
        if column.null_count() > 0 {
            for row in (0..column.len()).filter(|row| column.is_null(*row)) {
                note(errors, row, &stored.name, RowError::Training("the value is NULL".into()));
            }
        }
        let rows: Vec<usize> = (0..column.len()).filter(|row| !errors.contains_key(row)).collect();
        let Some((_, preparer)) = &stored.dense else {
            if let Some(trial) = &self.trial {
                for (row, cause) in trial.errors(&stored.name, column, &rows)? {
                    note(errors, row, &stored.name, RowError::Training(cause));
                }
            }
            return Ok(Checked::Plain(column.clone()));
        };
        let limits = Limits { images: ImageLimits::default(), offsets: false, stop: StopFlag::default() };
        let (staged, found) = try_rows("training", preparer, (column, None), &rows, &limits)?;
        for (position, error) in found {
            let error = if stored.name == LABEL { RowError::Training(format!("the label: {error}")) } else { error };
            note(errors, rows[position], &stored.name, error);
        }
        if let StagedRows::Dense(tensor) = &staged
            && stored.name == LABEL
        {
            let values = memory::values::<f64>(tensor).unwrap_or(&[]);
            for (row, values) in rows.iter().zip(values.chunks((values.len() / rows.len().max(1)).max(1))) {
                if let Some(cause) = values.iter().find_map(|value| self.rows.out_of_range(*value)) {
                    note(errors, *row, LABEL, RowError::Training(cause));
                }
            }
        }
        match staged {
            StagedRows::Dense(tensor) => Ok(Checked::Dense { tensor, rows }),
            _ => Err(EngineError::Internal("numbers were staged as something else".into())),
        }
    }

    pub(super) fn finish(mut self) -> Result<MappedDataset, EngineError> {
        self.writer.finish().map_err(broken)?;
        self.writer.flush().map_err(broken)?;
        let dense = |stored: Stored| (stored.name, stored.dense.map(|(spec, _)| spec));
        let columns = self.stored.into_iter().map(dense).collect();
        MappedDataset::open(self.file, columns, self.rows, self.spec.shards)
    }
}

impl Checked {
    /// The rows that are kept, as they are stored.
    fn stored(self, kept: &BooleanArray, data_type: &DataType) -> Result<ArrayRef, EngineError> {
        let (tensor, rows) = match self {
            Self::Plain(column) if kept.true_count() == kept.len() => return Ok(column),
            Self::Plain(column) => return arrow_select::filter::filter(&column, kept).map_err(broken),
            Self::Dense { tensor, rows } => (tensor, rows),
        };
        let DataType::FixedSizeBinary(bytes_a_row) = data_type else {
            return Err(EngineError::Internal(format!("a dense column is stored as {data_type}")));
        };
        let all = memory::bytes(&tensor).ok_or_else(|| EngineError::Internal("a staged tensor is not dense".into()))?;
        let width = usize::try_from(*bytes_a_row).unwrap_or(0).max(1);
        let mut bytes = budget::reserve::<u8>(kept.true_count() * width, "a batch of rows")?;
        for (_, row) in rows.iter().zip(all.chunks_exact(width)).filter(|(row, _)| kept.value(**row)) {
            bytes.extend_from_slice(row);
        }
        FixedSizeBinaryArray::try_new(*bytes_a_row, Buffer::from_vec(bytes), None).map(|a| Arc::new(a) as ArrayRef).map_err(broken)
    }
}

/// The first error of a row is the one that counts. The columns that are not inputs have names of our own, which tell users nothing.
fn note(errors: &mut RowErrors, row: usize, column: &str, error: RowError) {
    let input = if RESERVED.contains(&column) { "" } else { column };
    errors.entry(row).or_insert_with(|| (input.to_owned(), error));
}

fn text_of(input: &str, error: &RowError) -> String {
    EngineError::BadInput { row: 0, input: input.to_owned(), error: error.clone() }.to_string()
}

fn stored_type(name: &str, dense: &DenseSpec) -> Result<DataType, EngineError> {
    let values = dense.shape.iter().try_fold(1_usize, |all, n| all.checked_mul(*n)).filter(|n| *n > 0);
    let bytes = values.and_then(|n| n.checked_mul(dense.dtype.bytes())).and_then(|n| i32::try_from(n).ok());
    let refused = || {
        let text = format!("column '{name}': a row of shape {:?} must have at least one value, and less than 2 GB", dense.shape);
        EngineError::BadRequest(text)
    };
    bytes.map(DataType::FixedSizeBinary).ok_or_else(refused)
}

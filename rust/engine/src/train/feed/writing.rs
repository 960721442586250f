//! A feed while rows arrive.

use std::fs::File;
use std::io::BufWriter;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StructArray};
use arrow_ipc::writer::FileWriter;
use arrow_schema::{DataType, Field, Fields, Schema};
use flambeau_columns::dense;

use super::columns::{RESERVED, fault};
use super::{FeedSpec, RowColumns, Sealed, broken};
use crate::EngineError;

const BUFFER_BYTES: usize = 1 << 20;

/// Deletes the file when it goes.
pub(super) struct FileGuard(pub(super) PathBuf);

impl Drop for FileGuard {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            log::warn!("{} was not deleted: {error}", self.0.display());
        }
    }
}

/// An input column as it is stored.
struct Stored {
    name: String,
    /// Shape of a dense row.
    dense: Option<Vec<usize>>,
}

pub(super) struct Writing {
    spec: FeedSpec,
    stored: Vec<Stored>,
    schema: Arc<Schema>,
    rows: RowColumns,
    // Before the guard, so that the file is closed before it is deleted.
    writer: FileWriter<BufWriter<File>>,
    file: FileGuard,
}

impl Writing {
    pub(super) fn create(spec: FeedSpec, columns: &Fields) -> Result<Self, EngineError> {
        let rows = RowColumns::new(columns)?;
        let mut stored = Vec::new();
        let mut fields = Vec::new();
        for column in columns.iter().filter(|f| !RESERVED.contains(&f.name().as_str())) {
            let dense = spec.dense.get(column.name()).cloned();
            fields.push(match &dense {
                None => Field::clone(column),
                Some(shape) => {
                    dense::check_type(column.data_type(), shape.len())
                        .map_err(|error| EngineError::Column { input: column.name().clone(), error })?;
                    Field::new(column.name(), list_type(shape.iter().product())?, false)
                }
            });
            stored.push(Stored { name: column.name().clone(), dense });
        }
        if let Some(missing) = spec.dense.keys().find(|name| !stored.iter().any(|s| s.name == **name)) {
            return Err(EngineError::BadRequest(format!("the feed has no column '{missing}', which is named dense")));
        }
        let schema = Arc::new(Schema::new(fields));
        std::fs::create_dir_all(&spec.directory).map_err(broken)?;
        let path = spec.directory.join(format!("feed-{}-{}.arrow", std::process::id(), unique()));
        let out = File::create_new(&path).map_err(broken)?;
        let file = FileGuard(path);
        let writer = FileWriter::try_new(BufWriter::with_capacity(BUFFER_BYTES, out), &schema).map_err(broken)?;
        Ok(Self { spec, stored, schema, rows, writer, file })
    }

    pub(super) fn add(&mut self, batch: &StructArray) -> Result<(), EngineError> {
        let mut columns = Vec::with_capacity(self.stored.len());
        for stored in &self.stored {
            let missing = || EngineError::Internal(format!("the batch has no column {}", stored.name));
            let column = batch.column_by_name(&stored.name).ok_or_else(missing)?;
            if column.null_count() > 0
                && let Some(row) = (0..column.len()).find(|row| column.is_null(*row))
            {
                return Err(fault(row, &stored.name, "the value is NULL"));
            }
            columns.push(match &stored.dense {
                None => column.clone(),
                Some(shape) => dense_column(column, &stored.name, shape)?,
            });
        }
        self.rows.add(batch, self.spec.slots)?;
        if batch.is_empty() {
            return Ok(());
        }
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(batch.len()));
        let record = RecordBatch::try_new_with_options(self.schema.clone(), columns, &options).map_err(broken)?;
        self.writer.write(&record).map_err(broken)
    }

    pub(super) fn seal(mut self) -> Result<Sealed, EngineError> {
        self.writer.finish().map_err(broken)?;
        self.writer.flush().map_err(broken)?;
        let shapes = self.stored.iter().map(|s| (s.name.clone(), s.dense.clone())).collect();
        Sealed::open(self.file, shapes, self.rows, self.spec.slots)
    }
}

fn list_type(values: usize) -> Result<DataType, EngineError> {
    let n = i32::try_from(values).map_err(|_| EngineError::BadRequest(format!("{values} values a row are too many")))?;
    Ok(DataType::FixedSizeList(Arc::new(Field::new("item", DataType::Float32, false)), n))
}

fn dense_column(column: &ArrayRef, name: &str, shape: &[usize]) -> Result<ArrayRef, EngineError> {
    let width: usize = shape.iter().product();
    let mut values = vec![0_f32; column.len() * width];
    let rows: Vec<usize> = (0..column.len()).collect();
    if let Some((row, error)) = dense::gather(column, shape, &rows, &mut values).into_iter().next() {
        return Err(fault(row, name, error));
    }
    let DataType::FixedSizeList(item, n) = list_type(width)? else {
        return Err(EngineError::Internal("a list type is no list type".into()));
    };
    let list = FixedSizeListArray::try_new_with_length(item, n, Arc::new(Float32Array::from(values)), None, column.len());
    list.map(|l| Arc::new(l) as ArrayRef).map_err(broken)
}

/// A number that no other feed of this process has.
fn unique() -> u64 {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

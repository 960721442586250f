//! A dataset's rows, mapped into memory.
//!
//! The mapping is private to this process's dataset: the file was written here, its name is not known elsewhere, and it is deleted
//! with the dataset. Arrays of record batches are views of the mapping.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::{FileDecoder, read_footer_length};
use arrow_schema::DataType;
use bytes::Bytes;
use flambeau_engine::EngineError;

use super::columns::LABEL;
use super::dense::locate;
use super::{DatasetSummary, Dense, DenseSpec, Labels, RowColumns, broken};
use crate::image_cache::ImageCache;
use crate::own_file::FileGuard;

/// Columns by name, and what the dense ones hold.
type Columns = Vec<(String, Option<DenseSpec>)>;

/// By column and by preparation of its pictures; None if there is no room for them.
type ImageCaches = HashMap<(usize, String), Option<Arc<ImageCache>>>;

/// See the module.
pub(crate) struct MappedDataset {
    pub(crate) rows: RowColumns,
    pub(crate) shards: u32,
    columns: Columns,
    batches: Vec<RecordBatch>,
    /// First row of each record batch, and the number of rows at the end.
    starts: Arc<Vec<usize>>,
    bytes: u64,
    /// The prepared pictures that trainings keep.
    pictures: Mutex<ImageCaches>,
    // Last: the file is deleted after the arrays that view it.
    file: FileGuard,
}

impl MappedDataset {
    pub(super) fn open(file: FileGuard, columns: Columns, rows: RowColumns, shards: u32) -> Result<Self, EngineError> {
        let opened = File::open(&file.0).map_err(broken)?;
        // SAFETY: the file does not change while it is mapped: it was made and closed here, and its name is not known elsewhere.
        let map = unsafe { memmap2::Mmap::map(&opened) }.map_err(broken)?;
        let bytes = map.len() as u64;
        let batches = read(&Buffer::from(Bytes::from_owner(map))).map_err(broken)?;
        let mut starts = vec![0];
        let mut sum = 0;
        for batch in &batches {
            sum += batch.num_rows();
            starts.push(sum);
        }
        if sum != rows.len() {
            return Err(broken(format!("it has {sum} rows, {} were written", rows.len())));
        }
        let mut mapped = Self { rows, shards, columns, batches, starts: Arc::new(starts), bytes, pictures: Mutex::default(), file };
        let labels = mapped.columns.iter().position(|(name, _)| name == LABEL).and_then(|index| mapped.dense(index));
        if let Some(labels) = labels {
            mapped.rows.labels = Labels::Arrays(labels);
        }
        Ok(mapped)
    }

    pub(crate) fn summary(&self) -> DatasetSummary {
        let (mut low, mut high, mut integral) = (None, None, true);
        if let Labels::Scalars(values) = &self.rows.labels {
            low = values.iter().copied().reduce(f64::min);
            high = values.iter().copied().reduce(f64::max);
            integral = values.iter().all(|v| v.fract() == 0.0);
        }
        let validation = self.rows.validation.as_ref().map_or(0, |flags| flags.iter().filter(|f| **f).count());
        DatasetSummary {
            rows: self.rows.len() as u64,
            validation_rows: validation as u64,
            bytes: self.bytes,
            label_min: low,
            label_max: high,
            label_integral: integral,
        }
    }

    /// The column's index and type.
    pub(crate) fn column(&self, name: &str) -> Option<(usize, DataType)> {
        let index = self.columns.iter().position(|(n, _)| n == name)?;
        let first = self.batches.first();
        Some((index, first.map_or(DataType::Null, |b| b.column(index).data_type().clone())))
    }

    /// The column's values, if it is dense.
    pub(crate) fn dense(&self, index: usize) -> Option<Dense> {
        let spec = self.columns.get(index)?.1.clone()?;
        let chunks = self.batches.iter().map(|b| b.column(index).as_fixed_size_binary().clone()).collect();
        Some(Dense::new(spec.shape, spec.dtype, chunks, self.starts.clone()))
    }

    /// The pictures of a column that are kept next to the dataset, for all trainings that prepare them in the same way; `open` gets
    /// the folder and the number of rows.
    pub(crate) fn pictures(
        &self,
        column: usize,
        made: String,
        open: impl FnOnce(&Path, usize) -> Option<ImageCache>,
    ) -> Option<Arc<ImageCache>> {
        let mut all = self.pictures.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = self.file.0.parent()?;
        all.entry((column, made)).or_insert_with(|| open(directory, self.rows.len()).map(Arc::new)).clone()
    }

    /// Rows of any column, in this order, as one array.
    pub(crate) fn take(&self, column: usize, rows: &[u32]) -> Result<ArrayRef, EngineError> {
        let arrays: Vec<&dyn Array> = self.batches.iter().map(|b| b.column(column).as_ref()).collect();
        let places: Vec<(usize, usize)> = rows.iter().map(|&row| locate(&self.starts, row as usize)).collect();
        arrow_select::interleave::interleave(&arrays, &places).map_err(broken)
    }
}

/// All record batches, as views of the mapping.
fn read(buffer: &Buffer) -> Result<Vec<RecordBatch>, Box<dyn std::error::Error>> {
    const TRAILER_BYTES: usize = 10;
    let trailer = buffer.len().checked_sub(TRAILER_BYTES).ok_or("it is too short")?;
    let footer_bytes = read_footer_length(buffer[trailer..].try_into()?)?;
    let footer = trailer.checked_sub(footer_bytes).ok_or("its footer is too long")?;
    let footer = arrow_ipc::root_as_footer(&buffer[footer..trailer]).map_err(|error| error.to_string())?;
    let schema = arrow_ipc::convert::try_fb_to_schema(footer.schema().ok_or("it has no schema")?)?;
    let decoder = FileDecoder::new(Arc::new(schema), footer.version());
    let mut batches = Vec::new();
    for block in footer.recordBatches().iter().flatten() {
        let length = usize::try_from(block.bodyLength())? + usize::try_from(block.metaDataLength())?;
        let data = buffer.slice_with_length(usize::try_from(block.offset())?, length);
        batches.extend(decoder.read_record_batch(block, &data)?);
    }
    Ok(batches)
}

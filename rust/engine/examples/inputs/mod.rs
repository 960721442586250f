//! The rows that a program evaluates.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use arrow_array::{ArrayRef, BinaryArray, StringArray};

/// Bytes of a folder's files in the order of their names, or the texts of a JSON list.
pub fn read(input: &Path) -> Result<ArrayRef> {
    if input.is_file() {
        let texts: Vec<String> = serde_json::from_slice(&std::fs::read(input)?)?;
        return Ok(Arc::new(StringArray::from(texts)));
    }
    let mut paths = std::fs::read_dir(input)?.map(|entry| entry.map(|e| e.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    let files = paths.iter().map(std::fs::read).collect::<std::io::Result<Vec<_>>>()?;
    Ok(Arc::new(BinaryArray::from_iter_values(files)))
}

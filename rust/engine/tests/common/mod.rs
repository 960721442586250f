//! Shared by the engine's tests: packages made by `./gradlew testModels models`, and batches.
#![allow(dead_code, reason = "each test takes what it needs")]

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, ListArray, StructArray};
use arrow_schema::{Field, Fields};
use flambeau_engine::{Counters, EngineError, ModelOptions, Request, Session, registry};

/// The repository's root.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A package of build/test-packages.
pub fn package(name: &str) -> PathBuf {
    let path = repository().join("build/test-packages").join(name);
    assert!(path.is_dir(), "{} is missing: run ./gradlew testModels", path.display());
    path
}

/// A list<f32> column.
pub fn floats(rows: Vec<Option<Vec<f32>>>) -> ArrayRef {
    let rows = rows.into_iter().map(|row| row.map(|values| values.into_iter().map(Some).collect::<Vec<_>>()));
    Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(rows))
}

/// A batch of one column.
pub fn batch(column: ArrayRef) -> StructArray {
    let fields = Fields::from(vec![Field::new("x", column.data_type().clone(), true)]);
    StructArray::new(fields, vec![column], None)
}

/// A session over one column of this type.
pub fn session(name: &str, column: &ArrayRef, request: Request) -> Result<Session, EngineError> {
    let model = registry::open(&package(name), &ModelOptions::plain())?;
    Session::new(model, Fields::from(vec![Field::new("x", column.data_type().clone(), true)]), request)
}

/// Evaluates one column and returns the first result column.
pub fn evaluate(name: &str, column: ArrayRef, request: Request) -> Result<(ArrayRef, Counters), EngineError> {
    let session = session(name, &column, request)?;
    let mut counters = Counters::default();
    let result = session.evaluate(&batch(column), &mut counters)?;
    Ok((result.column(0).clone(), counters))
}

/// A bitmap of 24 bits; every seed gives another picture.
pub fn bitmap(seed: u32, width: u32, height: u32) -> Vec<u8> {
    let size = width * height * 3;
    let mut bytes = b"BM".to_vec();
    for n in [54 + size, 0, 54, 40, width, height] {
        bytes.extend(n.to_le_bytes());
    }
    bytes.extend([1, 0, 24, 0]);
    for n in [0, size, 0, 0, 0, 0] {
        bytes.extend(n.to_le_bytes());
    }
    let pixel = |i: u32| (i.wrapping_mul(seed * 2 + 1) / 97 % 256) as u8;
    bytes.extend((0..size).map(pixel));
    bytes
}

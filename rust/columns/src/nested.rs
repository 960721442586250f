//! Dense buffers back into Arrow: a value of shape [] is a scalar, of shape [n] a list, of [m, n] a list of lists.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, ListArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::Field;

/// Wraps `values` (rows × product of `shape` of them, rows one after another) into lists, `present[i]` saying whether row i
/// has a value: rows without one hold nothing in `values`. The name of list elements is `element`, as Spark has it.
///
/// `None` if the numbers do not add up or exceed 32-bit offsets.
#[must_use]
pub fn lists(values: ArrayRef, shape: &[usize], present: &[bool]) -> Option<ArrayRef> {
    let mut array = values;
    for (dimension, &length) in shape.iter().enumerate().skip(1).rev() {
        let rows: usize = present.iter().filter(|p| **p).count() * shape[..dimension].iter().product::<usize>();
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(length, rows));
        array = list(offsets, array, None)?;
    }
    let length = *shape.first()?;
    i32::try_from(length.checked_mul(present.len())?).ok()?;
    let offsets = OffsetBuffer::from_lengths(present.iter().map(|p| if *p { length } else { 0 }));
    list(offsets, array, nulls(present))
}

/// A validity buffer, or none where all rows are present.
#[must_use]
pub fn nulls(present: &[bool]) -> Option<NullBuffer> {
    present.iter().any(|p| !p).then(|| NullBuffer::from(present))
}

fn list(offsets: OffsetBuffer<i32>, values: ArrayRef, nulls: Option<NullBuffer>) -> Option<ArrayRef> {
    let field = Arc::new(Field::new("element", values.data_type().clone(), false));
    ListArray::try_new(field, offsets, values, nulls).ok().map(|list| Arc::new(list) as ArrayRef)
}

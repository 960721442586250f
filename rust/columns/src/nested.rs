//! Dense buffers back into Arrow: a value of shape `[]` is a scalar, of shape `[n]` a list, of `[m, n]` a list of lists.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, ListArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::Field;

/// Wraps `values` (rows × product of `shape` of them, rows one after another) into lists, where `present[i]` tells whether row i
/// has a value: rows without one have nothing in `values`. List elements are named `element`, as in Spark.
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

/// As [`lists`], for rows that differ in length: row i, if present, holds the next of `lengths` items of `shape`.
///
/// `None` if the numbers do not add up or exceed 32-bit offsets.
#[must_use]
pub fn ragged(values: ArrayRef, shape: &[usize], lengths: &[usize], present: &[bool]) -> Option<ArrayRef> {
    let items: usize = lengths.iter().sum();
    i32::try_from(items).ok()?;
    let inner = if shape.is_empty() { values } else { lists(values, shape, &vec![true; items])? };
    let mut next = lengths.iter();
    let of_rows: Vec<usize> = present.iter().map(|p| if *p { next.next().copied().unwrap_or(0) } else { 0 }).collect();
    list(OffsetBuffer::from_lengths(of_rows), inner, nulls(present))
}

/// A validity buffer, or none if all rows are present.
#[must_use]
pub fn nulls(present: &[bool]) -> Option<NullBuffer> {
    present.iter().any(|p| !p).then(|| NullBuffer::from(present))
}

fn list(offsets: OffsetBuffer<i32>, values: ArrayRef, nulls: Option<NullBuffer>) -> Option<ArrayRef> {
    let field = Arc::new(Field::new("element", values.data_type().clone(), false));
    ListArray::try_new(field, offsets, values, nulls).ok().map(|list| Arc::new(list) as ArrayRef)
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Int32Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int32Type;

    fn row(lists: &ArrayRef, index: usize) -> Vec<i32> {
        lists.as_list::<i32>().value(index).as_primitive::<Int32Type>().values().to_vec()
    }

    #[test]
    fn rows_of_different_length_keep_their_own_items() {
        let values: ArrayRef = Arc::new(Int32Array::from_iter_values(0..5));
        let lists = ragged(values, &[], &[2, 0, 3], &[true, false, true, true]).unwrap();
        assert_eq!((row(&lists, 0), row(&lists, 2), row(&lists, 3)), (vec![0, 1], vec![], vec![2, 3, 4]));
        assert!(lists.is_null(1) && !lists.is_null(2));
    }

    #[test]
    fn items_may_be_lists() {
        let values: ArrayRef = Arc::new(Int32Array::from_iter_values(0..6));
        let lists = ragged(values, &[2], &[1, 2], &[true, true]).unwrap();
        let second = lists.as_list::<i32>().value(1);
        assert_eq!((row(&second, 0), row(&second, 1)), (vec![2, 3], vec![4, 5]));
    }

    #[test]
    fn numbers_that_do_not_add_up_are_none() {
        let values: ArrayRef = Arc::new(Int32Array::from_iter_values(0..3));
        assert!(ragged(values, &[], &[2, 2], &[true, true]).is_none());
    }
}

//! Dense buffers back into Arrow: a value of shape `[]` is a scalar, of shape `[n]` a list, of `[m, n]` a list of lists.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, ListArray, StringArray, StructArray};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{Field, Fields};

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

/// Structs of these named fields, one for each value; neither a struct nor a field is NULL.
///
/// `None` if the fields differ in length.
#[must_use]
pub fn structs<const N: usize>(fields: [(&str, ArrayRef); N]) -> Option<ArrayRef> {
    let of = |(name, values): &(&str, ArrayRef)| Field::new(*name, values.data_type().clone(), false);
    let types: Fields = fields.iter().map(of).collect();
    let all = StructArray::try_new(types, fields.into_iter().map(|(_, values)| values).collect(), None);
    all.ok().map(|all| Arc::new(all) as ArrayRef)
}

/// Texts as a column without NULL.
///
/// `None` if they are too long for 32-bit offsets.
#[must_use]
pub fn texts<T: AsRef<str>>(texts: &[T]) -> Option<ArrayRef> {
    i32::try_from(texts.iter().map(|text| text.as_ref().len()).sum::<usize>()).ok()?;
    Some(Arc::new(StringArray::from_iter_values(texts)))
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
    fn items_may_be_structs() {
        let numbers: ArrayRef = Arc::new(Int32Array::from_iter_values(0..2));
        let items = structs([("name", texts(&["a", "b"]).unwrap()), ("number", numbers)]).unwrap();
        let lists = ragged(items, &[], &[2], &[false, true]).unwrap();
        let own = lists.as_list::<i32>().value(1);
        assert_eq!(own.as_struct().column_names(), ["name", "number"]);
        assert_eq!(own.as_struct().column(0).as_string::<i32>().value(1), "b");
        assert!(own.as_struct().fields().iter().all(|field| !field.is_nullable()));
    }

    #[test]
    fn numbers_that_do_not_add_up_are_none() {
        let of = |numbers: std::ops::Range<i32>| Arc::new(Int32Array::from_iter_values(numbers)) as ArrayRef;
        assert!(structs([("short", of(0..1)), ("long", of(0..2))]).is_none());
        let values: ArrayRef = Arc::new(Int32Array::from_iter_values(0..3));
        assert!(ragged(values, &[], &[2, 2], &[true, true]).is_none());
    }
}

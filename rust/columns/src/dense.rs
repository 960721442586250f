//! Nested lists of equal lengths into one dense buffer, the data of a tensor.
//!
//! A list column keeps its values in one child array, rows one after another. So a run of whole rows is one slice: equal
//! lengths are checked on the offsets, and the values are copied at once if types agree. A row that does not fit is an error of
//! that row only, not of the batch.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type};
use arrow_array::{Array, ArrayRef, OffsetSizeTrait};
use arrow_schema::DataType;

use crate::{ColumnError, DenseError, Element};

/// Checks that a column of this type can make tensors of `rank` dimensions a row (0 = scalars).
///
/// # Errors
/// The nesting is different, or values are not numbers or booleans.
pub fn check_type(data_type: &DataType, rank: usize) -> Result<(), ColumnError> {
    let expected = || format!("{}a number or boolean{}", "array<".repeat(rank), ">".repeat(rank));
    let mut inner = data_type;
    for _ in 0..rank {
        inner = match inner {
            DataType::List(f) | DataType::LargeList(f) | DataType::FixedSizeList(f, _) => f.data_type(),
            _ => return Err(ColumnError::of(expected(), data_type)),
        };
    }
    if is_number(inner) { Ok(()) } else { Err(ColumnError::of(expected(), data_type)) }
}

/// Copies rows `rows` of `column` (none of them NULL) into `out`, one after another; `out` holds `rows.len()` times the
/// product of `shape`. Returns the positions in `rows` that do not fit, with the reason; their part of `out` is unspecified.
#[must_use]
pub fn gather<T: Element>(column: &ArrayRef, shape: &[usize], rows: &[usize], out: &mut [T]) -> Vec<(usize, DenseError)> {
    let size: usize = shape.iter().product();
    let fill = |start: usize, count: usize, out: &mut [T]| fill(column.as_ref(), start, count, shape, 0, out);
    let mut errors = Vec::new();
    for (at, count) in runs(rows) {
        let part = &mut out[at * size..(at + count) * size];
        if fill(rows[at], count, part).is_ok() {
            continue;
        }
        for i in at..at + count {
            if let Err(error) = fill(rows[i], 1, &mut out[i * size..(i + 1) * size]) {
                errors.push((i, error));
            }
        }
    }
    errors
}

/// Ranges of consecutive rows: (position of the first, number of rows).
fn runs(rows: &[usize]) -> impl Iterator<Item = (usize, usize)> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        let first = at;
        if first >= rows.len() {
            return None;
        }
        at += 1;
        while at < rows.len() && rows[at] == rows[at - 1] + 1 {
            at += 1;
        }
        Some((first, at - first))
    })
}

/// Elements `start..start + count` of `array`, each of shape `shape[dimension..]`.
fn fill<T: Element>(
    array: &dyn Array,
    start: usize,
    count: usize,
    shape: &[usize],
    dimension: usize,
    out: &mut [T],
) -> Result<(), DenseError> {
    if has_null(array, start, count) {
        return Err(DenseError::NullInside);
    }
    let Some(&expected) = shape.get(dimension) else {
        return leaf(array, start, count, out);
    };
    let wrong = |actual: usize| DenseError::Length { dimension, expected, actual, shape: shape.to_vec() };
    let (child, first) = match array.data_type() {
        DataType::List(_) => list_range::<i32>(array, start, count, expected).map_err(wrong)?,
        DataType::LargeList(_) => list_range::<i64>(array, start, count, expected).map_err(wrong)?,
        _ => {
            let list = array.as_fixed_size_list();
            let width = usize::try_from(list.value_length()).unwrap_or(0);
            if width != expected {
                return Err(wrong(width));
            }
            (list.values(), (start + list.offset()) * width)
        }
    };
    fill(child.as_ref(), first, count * expected, shape, dimension + 1, out)
}

fn has_null(array: &dyn Array, start: usize, count: usize) -> bool {
    array.null_count() > 0 && (start..start + count).any(|i| array.is_null(i))
}

/// The child values and the offset of those of row `start`, if all `count` rows have `expected` values; otherwise a wrong length.
fn list_range<O: OffsetSizeTrait>(array: &dyn Array, start: usize, count: usize, expected: usize) -> Result<(&ArrayRef, usize), usize> {
    let list = array.as_list::<O>();
    let offsets = &list.value_offsets()[start..=start + count];
    for pair in offsets.windows(2) {
        let length = pair[1].as_usize() - pair[0].as_usize();
        if length != expected {
            return Err(length);
        }
    }
    Ok((list.values(), offsets[0].as_usize()))
}

fn leaf<T: Element>(array: &dyn Array, start: usize, count: usize, out: &mut [T]) -> Result<(), DenseError> {
    if let Some(values) = T::same(array) {
        out.copy_from_slice(&values[start..start + count]);
        return Ok(());
    }
    macro_rules! convert {
        ($arrow:ty, $from:ident, $wide:ty) => {{
            let values = &array.as_primitive::<$arrow>().values()[start..start + count];
            for (to, &value) in out.iter_mut().zip(values) {
                *to = T::$from(<$wide>::from(value)).ok_or_else(|| refused::<T>(value))?;
            }
        }};
    }
    match array.data_type() {
        DataType::Float32 => convert!(Float32Type, from_f64, f64),
        DataType::Float64 => convert!(Float64Type, from_f64, f64),
        DataType::Int8 => convert!(Int8Type, from_i64, i64),
        DataType::Int16 => convert!(Int16Type, from_i64, i64),
        DataType::Int32 => convert!(Int32Type, from_i64, i64),
        DataType::Int64 => convert!(Int64Type, from_i64, i64),
        DataType::UInt8 => convert!(UInt8Type, from_i64, i64),
        DataType::Boolean => {
            let values = array.as_boolean();
            for (to, i) in out.iter_mut().zip(start..) {
                let value = values.value(i);
                *to = T::from_i64(i64::from(value)).ok_or_else(|| refused::<T>(value))?;
            }
        }
        other => return Err(refused::<T>(other)),
    }
    Ok(())
}

fn refused<T: Element>(value: impl std::fmt::Display) -> DenseError {
    DenseError::Value { value: value.to_string(), dtype: T::NAME }
}

fn is_number(data_type: &DataType) -> bool {
    use DataType::{Boolean, Float32, Float64, Int8, Int16, Int32, Int64, UInt8};
    matches!(data_type, Float32 | Float64 | Int8 | Int16 | Int32 | Int64 | UInt8 | Boolean)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::{Float64Type, Int32Type};
    use arrow_array::{BooleanArray, Float32Array, Int64Array, ListArray};
    use arrow_schema::Field;

    use super::*;

    fn floats(rows: Vec<Option<Vec<Option<f64>>>>) -> ArrayRef {
        Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(rows))
    }

    #[test]
    fn chosen_rows_are_gathered_in_order_and_converted() {
        let column =
            floats(vec![Some(vec![Some(1.0), Some(2.0)]), None, Some(vec![Some(3.0), Some(4.5)]), Some(vec![Some(5.0), Some(6.0)])]);
        let mut out = [0_f32; 6];
        assert!(gather(&column, &[2], &[0, 2, 3], &mut out).is_empty());
        assert_eq!(out, [1.0, 2.0, 3.0, 4.5, 5.0, 6.0]);
    }

    #[test]
    fn a_ragged_row_is_an_error_of_that_row_alone() {
        let column = floats(vec![
            Some(vec![Some(1.0), Some(2.0)]),
            Some(vec![Some(9.0)]),
            Some(vec![Some(3.0), None]),
            Some(vec![Some(4.0), Some(5.0)]),
        ]);
        let mut out = [0_f32; 8];
        let errors = gather(&column, &[2], &[0, 1, 2, 3], &mut out);
        assert_eq!(errors.len(), 2);
        assert_eq!(errors[0], (1, DenseError::Length { dimension: 0, expected: 2, actual: 1, shape: vec![2] }));
        assert_eq!(errors[1], (2, DenseError::NullInside));
        assert_eq!((out[0], out[1], out[6], out[7]), (1.0, 2.0, 4.0, 5.0));
    }

    #[test]
    fn slices_read_their_own_rows() {
        let column = floats((0..6).map(|i| Some(vec![Some(f64::from(i)), Some(f64::from(10 * i))])).collect());
        let slice = column.slice(2, 3);
        let mut out = [0_f64; 4];
        assert!(gather(&slice, &[2], &[0, 2], &mut out).is_empty());
        assert_eq!(out, [2.0, 20.0, 4.0, 40.0]);
    }

    #[test]
    fn nested_lists_make_matrices_and_name_the_dimension_that_is_wrong() {
        let inner = ListArray::from_iter_primitive::<Int32Type, _, _>(
            [vec![1, 2], vec![3, 4], vec![5, 6], vec![7]].map(|v| Some(v.into_iter().map(Some).collect::<Vec<_>>())),
        );
        let field = Arc::new(Field::new("element", inner.data_type().clone(), true));
        let outer = ListArray::new(field, arrow_buffer::OffsetBuffer::from_lengths([2, 2]), Arc::new(inner), None);
        let column: ArrayRef = Arc::new(outer);
        let mut out = [0_i64; 8];
        let errors = gather(&column, &[2, 2], &[0, 1], &mut out);
        assert_eq!(&out[..4], &[1, 2, 3, 4]);
        assert_eq!(errors, [(1, DenseError::Length { dimension: 1, expected: 2, actual: 1, shape: vec![2, 2] })]);
    }

    #[test]
    fn numbers_never_wrap_or_truncate() {
        let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 300, -1]));
        let mut out = [0_u8; 3];
        let errors = gather(&column, &[], &[0, 1, 2], &mut out);
        assert_eq!(errors.iter().map(|(i, _)| *i).collect::<Vec<_>>(), [1, 2]);
        let column: ArrayRef = Arc::new(Float32Array::from(vec![2.0, 2.5, f32::NAN]));
        let mut out = [0_i32; 3];
        assert_eq!(gather(&column, &[], &[0, 1, 2], &mut out).len(), 2);
        assert_eq!(out[0], 2);
    }

    #[test]
    fn booleans_are_zero_and_one() {
        let column: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
        let mut out = [7_f32; 2];
        assert!(gather(&column, &[], &[0, 1], &mut out).is_empty());
        assert_eq!(out, [1.0, 0.0]);
    }

    #[test]
    fn types_are_checked_before_rows() {
        let column = floats(vec![]);
        assert!(check_type(column.data_type(), 1).is_ok());
        assert!(check_type(column.data_type(), 2).is_err());
        assert_eq!(
            check_type(&DataType::Utf8, 1).unwrap_err().to_string(),
            "the column has type Utf8; expected array<a number or boolean>"
        );
    }
}

//! Arrays as the JVM's importer needs them: Arrow Java ignores `ArrowArray.offset`, at every level of nesting, and would
//! read the wrong rows without an error. So arrays that cross the boundary have offset 0 everywhere; they are copied if necessary.

use arrow_data::ArrayData;
use arrow_data::transform::MutableArrayData;
use arrow_schema::ArrowError;

/// The same values with offset 0 in the array and all of its children; copies only if some offset is not 0.
///
/// # Errors
/// If the copy would overflow its offsets.
pub fn normalize(data: ArrayData) -> Result<ArrayData, ArrowError> {
    if is_normal(&data) {
        return Ok(data);
    }
    let mut copy = MutableArrayData::new(vec![&data], false, data.len());
    copy.try_extend(0, 0, data.len())?;
    Ok(copy.freeze())
}

fn is_normal(data: &ArrayData) -> bool {
    data.offset() == 0 && starts_at_zero(data) && data.child_data().iter().all(is_normal)
}

/// A sliced string or list array has offset 0 in arrow-rs but first offset ≠ 0, which Arrow Java before 18.3 misreads.
fn starts_at_zero(data: &ArrayData) -> bool {
    use arrow_schema::DataType::{Binary, LargeBinary, LargeList, LargeUtf8, List, Map, Utf8};
    match data.data_type() {
        Utf8 | Binary | List(_) | Map(_, _) => data.buffer::<i32>(0).first().is_none_or(|o| *o == 0),
        LargeUtf8 | LargeBinary | LargeList(_) => data.buffer::<i64>(0).first().is_none_or(|o| *o == 0),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::types::Int32Type;
    use arrow_array::{Array, ArrayRef, BooleanArray, Int32Array, ListArray, StringArray, StructArray, make_array};
    use arrow_schema::{DataType, Field};

    use super::*;

    fn samples() -> Vec<ArrayRef> {
        let flags: ArrayRef = Arc::new(BooleanArray::from(vec![Some(true), None, Some(false), Some(true)]));
        let words: ArrayRef = Arc::new(StringArray::from(vec![Some("a"), Some("bc"), None, Some("def")]));
        let lists =
            ListArray::from_iter_primitive::<Int32Type, _, _>(vec![Some(vec![Some(1)]), None, Some(vec![Some(2), None]), Some(vec![])]);
        let both = StructArray::from(vec![
            (Arc::new(Field::new("f", DataType::Boolean, true)), flags.clone()),
            (Arc::new(Field::new("w", DataType::Utf8, true)), words.clone()),
        ]);
        vec![Arc::new(Int32Array::from(vec![10, 20, 30, 40])), flags, words, Arc::new(lists), Arc::new(both)]
    }

    #[test]
    fn slices_of_every_type_keep_their_values_and_lose_their_offsets() {
        for array in samples() {
            let slice = array.slice(1, 2);
            let fixed = normalize(slice.to_data()).unwrap();
            assert!(is_normal(&fixed), "{}", array.data_type());
            assert_eq!(&make_array(fixed), &slice, "{}", array.data_type());
        }
    }

    #[test]
    fn an_array_without_offsets_is_not_copied() {
        let data = Int32Array::from(vec![1, 2, 3]).to_data();
        let before = data.buffers()[0].as_ptr();
        assert_eq!(normalize(data).unwrap().buffers()[0].as_ptr(), before);
    }
}

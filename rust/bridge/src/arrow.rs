//! C Data structs: taken from the JVM, given to it. The only place where an address becomes a pointer.
//!
//! *Take* moves the content out and marks the struct as released, so that the JVM's own release does nothing. *Give* writes array
//! and schema after both are made, and cannot fail in between.
//!
//! Strings come in as bytes: Spark's `STRING` may hold any bytes (`CAST(x AS STRING)` checks nothing), and an Arrow string
//! array with bytes that are not UTF-8 is undefined behavior for every reader. The layout of both is the same.

use arrow_array::{Array, StructArray};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, DataType, Field, Fields};
use flambeau_columns::normalize;

use crate::failure::Failure;

fn pointer<T>(address: i64, what: &'static str) -> Result<*mut T, Failure> {
    let address = usize::try_from(address).map_err(|_| Failure::BadAddress(what))?;
    let pointer = std::ptr::with_exposed_provenance_mut::<T>(address);
    if pointer.is_null() || !pointer.is_aligned() { Err(Failure::BadAddress(what)) } else { Ok(pointer) }
}

/// The fields of the struct schema at `address`, strings as bytes.
pub(crate) fn take_schema(address: i64) -> Result<Fields, Failure> {
    let pointer = pointer::<FFI_ArrowSchema>(address, "input schema")?;
    // SAFETY: the JVM side passes the address of an ArrowSchema that it allocated, filled by its exporter, and keeps alive
    // during the call; the content moves to us.
    let schema = unsafe { FFI_ArrowSchema::from_raw(pointer) };
    match DataType::try_from(&schema)? {
        DataType::Struct(fields) => Ok(without_strings(&fields)),
        other => Err(ArrowError::SchemaError(format!("expected a struct, got {other}")).into()),
    }
}

fn without_strings(fields: &Fields) -> Fields {
    let bytes = |field: &Field| field.clone().with_data_type(as_bytes(field.data_type()));
    fields.iter().map(|field| bytes(field)).collect()
}

fn as_bytes(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Utf8 => DataType::Binary,
        DataType::LargeUtf8 => DataType::LargeBinary,
        DataType::Struct(fields) => DataType::Struct(without_strings(fields)),
        DataType::List(item) => DataType::List(item.as_ref().clone().with_data_type(as_bytes(item.data_type())).into()),
        DataType::LargeList(item) => DataType::LargeList(item.as_ref().clone().with_data_type(as_bytes(item.data_type())).into()),
        other => other.clone(),
    }
}

/// The struct array at `address`, whose fields are `fields`.
pub(crate) fn take_batch(address: i64, fields: Fields) -> Result<StructArray, Failure> {
    let pointer = pointer::<FFI_ArrowArray>(address, "input array")?;
    // SAFETY: as for the schema, of an ArrowArray.
    let array = unsafe { FFI_ArrowArray::from_raw(pointer) };
    if array.is_released() || array.num_children() != fields.len() {
        return Err(ArrowError::CDataInterface(format!("expected {} columns, got {}", fields.len(), array.num_children())).into());
    }
    // SAFETY: the exporter that filled the array also made the schema of `fields`, so the buffers match it. Only strings may hold
    // invalid UTF-8; `fields` declares them as bytes, which have the same buffers and may hold anything.
    let data = unsafe { arrow_array::ffi::from_ffi_and_data_type(array, DataType::Struct(fields)) }?;
    data.validate()?;
    Ok(StructArray::from(data))
}

/// Writes `result` and its schema to the two addresses.
pub(crate) fn give_batch(result: &StructArray, array_address: i64, schema_address: i64) -> Result<(), Failure> {
    let data = normalize(result.to_data())?;
    let array = FFI_ArrowArray::new(&data);
    let schema = FFI_ArrowSchema::try_from(data.data_type())?;
    let array_pointer = pointer::<FFI_ArrowArray>(array_address, "output array")?;
    let schema_pointer = pointer::<FFI_ArrowSchema>(schema_address, "output schema")?;
    // SAFETY: the JVM side passes addresses of structs that it allocated, marked released, and keeps alive during the call;
    // `write` does not drop what was there.
    unsafe { array_pointer.write(array) };
    // SAFETY: as above.
    unsafe { schema_pointer.write(schema) };
    Ok(())
}

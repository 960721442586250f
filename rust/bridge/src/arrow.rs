//! C Data structs: taken from the JVM, given to it. The only place where an address becomes a pointer.
//!
//! *Take* moves the content out and leaves the struct released, so that the JVM's own release finds nothing to do. *Give*
//! writes array and schema once both are made, and cannot fail in between.

use arrow_array::{Array, StructArray};
use arrow_data::ffi::FFI_ArrowArray;
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, DataType, Fields};
use flambeau_columns::normalise;

use crate::failure::Failure;

fn pointer<T>(address: i64, what: &'static str) -> Result<*mut T, Failure> {
    let address = usize::try_from(address).map_err(|_| Failure::BadAddress(what))?;
    let pointer = std::ptr::with_exposed_provenance_mut::<T>(address);
    if pointer.is_null() || !pointer.is_aligned() { Err(Failure::BadAddress(what)) } else { Ok(pointer) }
}

/// The fields of the struct schema at `address`.
pub(crate) fn take_schema(address: i64) -> Result<Fields, Failure> {
    let pointer = pointer::<FFI_ArrowSchema>(address, "input schema")?;
    // SAFETY: the JVM side passes the address of an ArrowSchema that it allocated, filled by its exporter, and keeps alive
    // during the call; the content moves to us.
    let schema = unsafe { FFI_ArrowSchema::from_raw(pointer) };
    match DataType::try_from(&schema)? {
        DataType::Struct(fields) => Ok(fields),
        other => Err(ArrowError::SchemaError(format!("expected a struct, got {other}")).into()),
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
    // SAFETY: the exporter that filled the array also made the schema that `fields` came from, so buffers are as they say.
    let data = unsafe { arrow_array::ffi::from_ffi_and_data_type(array, DataType::Struct(fields)) }?;
    data.validate()?;
    Ok(StructArray::from(data))
}

/// Writes `result` and its schema to the two addresses.
pub(crate) fn give_batch(result: &StructArray, array_address: i64, schema_address: i64) -> Result<(), Failure> {
    let data = normalise(result.to_data())?;
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

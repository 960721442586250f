//! Tensors seen as slices: the only place where a tensor's memory is touched directly.

use flambeau_columns::{Element, bf16, f16};
use tch::{Device, Kind, TchError, Tensor};

/// An element whose tensor kind is known; sealed by being crate-private.
pub(crate) trait TensorElement: Element {
    const KIND: Kind;
}

macro_rules! kinds {
    ($($type:ty => $kind:ident),*) => { $(impl TensorElement for $type { const KIND: Kind = Kind::$kind; })* };
}
kinds!(f64 => Double, f32 => Float, f16 => Half, bf16 => BFloat16, i64 => Int64, i32 => Int, i16 => Int16, i8 => Int8, u8 => Uint8, bool => Bool);

/// A new CPU tensor of zeros that `write` fills before anyone else sees it.
pub(crate) fn filled<T: TensorElement, R>(shape: &[i64], write: impl FnOnce(&mut [T]) -> R) -> Result<(Tensor, R), TchError> {
    let tensor = Tensor::f_zeros(shape, (T::KIND, Device::Cpu))?;
    let len = tensor.numel();
    let result = if len == 0 {
        write(&mut [])
    } else {
        let pointer = tensor.data_ptr().cast::<T>();
        // SAFETY: a fresh contiguous CPU tensor of kind T::KIND owns `len` initialised elements at `pointer`, aligned for T,
        // and nobody else holds the tensor until this function returns.
        write(unsafe { std::slice::from_raw_parts_mut(pointer, len) })
    };
    Ok((tensor, result))
}

/// A new f32 CPU tensor of these rows, one after another.
pub(crate) fn of_rows<'a>(shape: &[i64], rows: impl Iterator<Item = &'a [f32]>) -> Result<Tensor, TchError> {
    let wrong = || TchError::Kind(format!("rows do not fill a tensor of shape {shape:?}"));
    let tensor = Tensor::f_empty(shape, (Kind::Float, Device::Cpu))?;
    let first = tensor.data_ptr().cast::<f32>();
    let (mut at, len) = (0, tensor.numel());
    for row in rows {
        if row.len() > len - at {
            return Err(wrong());
        }
        // SAFETY: the fresh contiguous tensor owns `len` f32 at `first`, and `at` is at most `len`.
        let place = unsafe { first.add(at) };
        // SAFETY: `row.len()` values fit behind `place`, as was checked, and a slice never overlaps a fresh tensor.
        unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), place, row.len()) };
        at += row.len();
    }
    if at == len { Ok(tensor) } else { Err(wrong()) }
}

/// The elements of a contiguous CPU tensor of kind `T::KIND`; `None` for any other.
pub(crate) fn values<T: TensorElement>(tensor: &Tensor) -> Option<&[T]> {
    if tensor.kind() != T::KIND || tensor.device() != Device::Cpu || !tensor.is_contiguous() {
        return None;
    }
    let len = tensor.numel();
    if len == 0 {
        return Some(&[]);
    }
    // SAFETY: kind, device and layout were checked, so `len` initialised elements lie at the pointer; they live as long as the
    // tensor is borrowed, and nothing writes to a result tensor.
    Some(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<T>().cast_const(), len) })
}

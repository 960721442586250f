//! Tensors seen as slices: the only place where a tensor's memory is touched directly.

use flambeau_columns::{Element, bf16, f16};
use flambeau_torch_ext::is_alone;
use tch::{Device, Kind, TchError, Tensor};

use crate::package::Dtype;

/// An element whose tensor kind is known. Every [`Element`] has its kind here, so no other code can define another.
pub trait TensorElement: Element {
    /// The kind of tensors with such elements.
    const KIND: Kind;
}

macro_rules! kinds {
    ($($type:ty => $kind:ident),*) => { $(impl TensorElement for $type { const KIND: Kind = Kind::$kind; })* };
}
kinds!(f64 => Double, f32 => Float, f16 => Half, bf16 => BFloat16, i64 => Int64, i32 => Int, i16 => Int16, i8 => Int8, u8 => Uint8, bool => Bool);

/// A new CPU tensor of zeros that `write` fills before other code can use it, and the result of `write`.
///
/// # Errors
/// libtorch has no memory for it.
pub fn filled<T: TensorElement, R>(shape: &[i64], write: impl FnOnce(&mut [T]) -> R) -> Result<(Tensor, R), TchError> {
    let tensor = Tensor::f_zeros(shape, (T::KIND, Device::Cpu))?;
    let len = tensor.numel();
    let result = if len == 0 {
        write(&mut [])
    } else {
        let pointer = tensor.data_ptr().cast::<T>();
        // SAFETY: a fresh contiguous CPU tensor of kind T::KIND owns `len` initialized elements at `pointer`, aligned for T,
        // and no other code has the tensor until this function returns.
        write(unsafe { std::slice::from_raw_parts_mut(pointer, len) })
    };
    Ok((tensor, result))
}

/// `change` of a tensor. An undefined one, of an output that is not wanted, stays undefined.
///
/// # Errors
/// That of `change`.
pub(crate) fn if_defined(tensor: &Tensor, change: impl FnOnce(&Tensor) -> Result<Tensor, TchError>) -> Result<Tensor, TchError> {
    if tensor.defined() { change(tensor) } else { Ok(Tensor::new()) }
}

/// `write` fills the first elements of a tensor that no other code has. Returns a view of these elements in `shape`, and the result of
/// `write`. `None` if other code has the tensor or a view of it, or if it is too small.
///
/// # Errors
/// libtorch has no memory for the view.
pub fn refilled<T: TensorElement, R>(
    tensor: &Tensor,
    shape: &[i64],
    write: impl FnOnce(&mut [T]) -> R,
) -> Result<Option<(Tensor, R)>, TchError> {
    let len = shape.iter().product::<i64>();
    let fits = usize::try_from(len).is_ok_and(|len| len > 0 && len <= tensor.numel());
    if !fits || !is_alone(tensor) || values::<T>(tensor).is_none() {
        return Ok(None);
    }
    let pointer = tensor.data_ptr().cast::<T>();
    // SAFETY: a contiguous CPU tensor of kind T::KIND has at least `len` initialized elements at `pointer`, aligned for T. No other
    // tensor shares them. This tensor is borrowed, so no other code gets a view until `write` is done.
    let result = write(unsafe { std::slice::from_raw_parts_mut(pointer, len as usize) });
    let view = tensor.f_view([-1])?.f_narrow(0, 0, len)?.f_view(shape)?;
    Ok(Some((view, result)))
}

/// A new CPU tensor of these rows' bytes, one after another.
///
/// # Errors
/// libtorch has no memory for it, or the bytes do not fill it.
pub fn of_bytes<'a>(shape: &[i64], kind: Kind, rows: impl Iterator<Item = &'a [u8]>) -> Result<Tensor, TchError> {
    let wrong = || TchError::Kind(format!("rows do not fill a tensor of shape {shape:?}"));
    let tensor = Tensor::f_empty(shape, (kind, Device::Cpu))?;
    let first = tensor.data_ptr().cast::<u8>();
    let (mut at, len) = (0, tensor.numel() * kind.elt_size_in_bytes());
    for row in rows {
        if row.len() > len - at {
            return Err(wrong());
        }
        // SAFETY: the fresh contiguous tensor owns `len` bytes at `first`, and `at` is at most `len`.
        let place = unsafe { first.add(at) };
        // SAFETY: `row.len()` bytes fit behind `place`, as was checked, and a slice never overlaps a fresh tensor.
        unsafe { std::ptr::copy_nonoverlapping(row.as_ptr(), place, row.len()) };
        at += row.len();
    }
    if at == len { Ok(tensor) } else { Err(wrong()) }
}

/// The bytes of a contiguous CPU tensor; `None` for any other.
#[must_use]
pub fn bytes(tensor: &Tensor) -> Option<&[u8]> {
    if tensor.device() != Device::Cpu || !tensor.is_contiguous() {
        return None;
    }
    let len = tensor.numel() * tensor.f_kind().ok()?.elt_size_in_bytes();
    if len == 0 {
        return Some(&[]);
    }
    // SAFETY: device and layout were checked, so `len` initialized bytes lie at the pointer; they live as long as the tensor is
    // borrowed, and nothing writes to it meanwhile.
    Some(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<u8>().cast_const(), len) })
}

/// libtorch's kind for an element type.
#[must_use]
pub fn kind_of(dtype: Dtype) -> Kind {
    match dtype {
        Dtype::F32 => Kind::Float,
        Dtype::F64 => Kind::Double,
        Dtype::F16 => Kind::Half,
        Dtype::Bf16 => Kind::BFloat16,
        Dtype::I64 => Kind::Int64,
        Dtype::I32 => Kind::Int,
        Dtype::I16 => Kind::Int16,
        Dtype::I8 => Kind::Int8,
        Dtype::U8 => Kind::Uint8,
        Dtype::Bool => Kind::Bool,
    }
}

/// Which of the `rows` of a contiguous CPU tensor have a value that is NaN or infinite.
#[must_use]
pub fn rows_not_finite(tensor: &Tensor, rows: usize) -> Vec<usize> {
    fn bad<T: TensorElement>(tensor: &Tensor, rows: usize, is_finite: impl Fn(&T) -> bool) -> Vec<usize> {
        let values = values::<T>(tensor).unwrap_or(&[]);
        // Without a branch for each value, so that the loop can be vectorized.
        let any = |row: &[T]| row.iter().fold(false, |bad, value| bad | !is_finite(value));
        let width = (values.len() / rows.max(1)).max(1);
        values.chunks(width).enumerate().filter(|(_, row)| any(row)).map(|(i, _)| i).collect()
    }
    match tensor.f_kind() {
        Ok(Kind::Float) => bad(tensor, rows, |v: &f32| v.is_finite()),
        Ok(Kind::Double) => bad(tensor, rows, |v: &f64| v.is_finite()),
        Ok(Kind::Half) => bad(tensor, rows, |v: &f16| v.is_finite()),
        Ok(Kind::BFloat16) => bad(tensor, rows, |v: &bf16| v.is_finite()),
        _ => Vec::new(),
    }
}

/// The elements of a contiguous CPU tensor of kind `T::KIND`; `None` for any other.
#[must_use]
pub fn values<T: TensorElement>(tensor: &Tensor) -> Option<&[T]> {
    if tensor.f_kind().ok()? != T::KIND || tensor.device() != Device::Cpu || !tensor.is_contiguous() {
        return None;
    }
    let len = tensor.numel();
    if len == 0 {
        return Some(&[]);
    }
    // SAFETY: kind, device and layout were checked, so `len` initialized elements lie at the pointer; they live as long as the
    // tensor is borrowed, and nothing writes to a result tensor.
    Some(unsafe { std::slice::from_raw_parts(tensor.data_ptr().cast::<T>().cast_const(), len) })
}

//! The number types of tensors, and how each is converted from a column's values.

pub use half::{bf16, f16};

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float16Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type};

/// A tensor element. Conversions lose precision silently (f64 to f32), but never wrap, truncate or saturate.
pub trait Element: Copy + Default + Send + Sync + 'static {
    /// Its name in messages and model.toml.
    const NAME: &'static str;
    /// None where the value has no place in this type.
    fn from_f64(value: f64) -> Option<Self>;
    /// None where the value has no place in this type.
    fn from_i64(value: i64) -> Option<Self>;
    /// The array's values, if they are of exactly this type.
    fn same(array: &dyn Array) -> Option<&[Self]>;
}

macro_rules! float {
    ($type:ty, $name:literal, $from:expr, $same:expr) => {
        impl Element for $type {
            const NAME: &'static str = $name;
            fn from_f64(value: f64) -> Option<Self> {
                Some($from(value))
            }
            #[expect(clippy::cast_precision_loss, reason = "what a float column would hold")]
            fn from_i64(value: i64) -> Option<Self> {
                Some($from(value as f64))
            }
            fn same(array: &dyn Array) -> Option<&[Self]> {
                $same(array)
            }
        }
    };
}

#[expect(clippy::cast_possible_truncation, reason = "rounding to f32 is what a f32 tensor means")]
fn to_f32(value: f64) -> f32 {
    value as f32
}

fn values<P: ArrowPrimitiveType>(array: &dyn Array) -> Option<&[P::Native]> {
    array.as_primitive_opt::<P>().map(|p| p.values().as_ref())
}

float!(f64, "f64", |v: f64| v, values::<Float64Type>);
float!(f32, "f32", to_f32, values::<Float32Type>);
float!(f16, "f16", f16::from_f64, values::<Float16Type>);
// Arrow has no bf16.
float!(bf16, "bf16", bf16::from_f64, |_| None);

macro_rules! integer {
    ($type:ty, $name:literal, $arrow:ty) => {
        impl Element for $type {
            const NAME: &'static str = $name;
            #[expect(clippy::cast_possible_truncation, reason = "guarded: the value is whole and in i64's range")]
            fn from_f64(value: f64) -> Option<Self> {
                // 2^53 itself may have been rounded from 2^53 + 1.
                const LIMIT: f64 = 9_007_199_254_740_992.0;
                (value.fract() == 0.0 && value.abs() < LIMIT).then(|| value as i64).and_then(Self::from_i64)
            }
            fn from_i64(value: i64) -> Option<Self> {
                Self::try_from(value).ok()
            }
            fn same(array: &dyn Array) -> Option<&[Self]> {
                values::<$arrow>(array)
            }
        }
    };
}

integer!(i64, "i64", Int64Type);
integer!(i32, "i32", Int32Type);
integer!(i16, "i16", Int16Type);
integer!(i8, "i8", Int8Type);
integer!(u8, "u8", UInt8Type);

impl Element for bool {
    const NAME: &'static str = "bool";
    fn from_f64(value: f64) -> Option<Self> {
        if value == 0.0 {
            Some(false)
        } else if value == 1.0 {
            Some(true)
        } else {
            None
        }
    }
    fn from_i64(value: i64) -> Option<Self> {
        match value {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }
    fn same(_: &dyn Array) -> Option<&[Self]> {
        None
    }
}

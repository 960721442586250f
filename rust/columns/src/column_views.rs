//! Typed views of one input column. They borrow nothing: Arrow arrays are reference-counted, a clone copies no data.

use arrow_array::cast::AsArray;
use arrow_array::types::Int32Type;
use arrow_array::{Array, ArrayRef, BinaryArray, Int32Array, LargeBinaryArray};
use arrow_schema::DataType;

use crate::ColumnError;

/// A column of byte strings: encoded images, sounds.
#[derive(Debug, Clone)]
pub enum BytesColumn {
    /// 32-bit offsets.
    Small(BinaryArray),
    /// 64-bit offsets.
    Large(LargeBinaryArray),
}

impl BytesColumn {
    /// # Errors
    /// The column is not binary.
    pub fn try_new(array: &ArrayRef) -> Result<Self, ColumnError> {
        match array.data_type() {
            DataType::Binary => Ok(Self::Small(array.as_binary().clone())),
            DataType::LargeBinary => Ok(Self::Large(array.as_binary().clone())),
            other => Err(ColumnError::of("binary", other)),
        }
    }

    /// The bytes of row `row`; empty for NULL.
    #[must_use]
    pub fn value(&self, row: usize) -> &[u8] {
        match self {
            Self::Small(a) => a.value(row),
            Self::Large(a) => a.value(row),
        }
    }
}

/// A column of strings, as bytes: Spark's strings may hold any bytes, so they must be checked before use as UTF-8.
#[derive(Debug, Clone)]
pub struct TextColumn(BytesColumn);

impl TextColumn {
    /// Strings, or the bytes that the boundary made of them.
    ///
    /// # Errors
    /// The column is neither.
    pub fn try_new(array: &ArrayRef) -> Result<Self, ColumnError> {
        match array.data_type() {
            DataType::Utf8 => Ok(Self(BytesColumn::Small(array.as_string::<i32>().clone().into()))),
            DataType::LargeUtf8 => Ok(Self(BytesColumn::Large(array.as_string::<i64>().clone().into()))),
            other => BytesColumn::try_new(array).map(Self).map_err(|_| ColumnError::of("string", other)),
        }
    }

    /// The bytes of row `row`'s text, which need not be UTF-8; empty for NULL.
    #[must_use]
    pub fn value(&self, row: usize) -> &[u8] {
        self.0.value(row)
    }
}

/// A column of images: encoded bytes, or Spark's `image` struct (origin, height, width, nChannels, mode, data).
#[derive(Debug, Clone)]
pub enum ImageColumn {
    /// JPEG, PNG, …
    Encoded(BytesColumn),
    /// Decoded pixels.
    Pixels(Box<PixelsColumn>),
}

/// Spark's `image` struct, column by column.
#[derive(Debug, Clone)]
pub struct PixelsColumn {
    height: Int32Array,
    width: Int32Array,
    channels: Int32Array,
    data: BytesColumn,
}

/// One decoded image: rows from the top, channels interleaved (gray, BGR or BGRA by their number).
#[derive(Debug, Clone, Copy)]
pub struct PixelsRow<'a> {
    /// Rows of pixels; -1 marks an image that Spark's reader could not decode.
    pub height: i32,
    /// Pixels of a row.
    pub width: i32,
    /// 1, 3 or 4.
    pub channels: i32,
    /// height × width × channels bytes.
    pub data: &'a [u8],
}

impl ImageColumn {
    /// # Errors
    /// The column is neither binary nor Spark's `image` struct.
    pub fn try_new(array: &ArrayRef) -> Result<Self, ColumnError> {
        let DataType::Struct(_) = array.data_type() else {
            return BytesColumn::try_new(array)
                .map(Self::Encoded)
                .map_err(|_| ColumnError::of("binary or Spark's image struct", array.data_type()));
        };
        let fields = array.as_struct();
        let bad = || ColumnError::of("Spark's image struct", array.data_type());
        let number = |name| {
            let column = fields.column_by_name(name).ok_or_else(bad)?;
            column.as_primitive_opt::<Int32Type>().cloned().ok_or_else(bad)
        };
        let data = fields.column_by_name("data").ok_or_else(bad)?;
        Ok(Self::Pixels(Box::new(PixelsColumn {
            height: number("height")?,
            width: number("width")?,
            channels: number("nChannels")?,
            data: BytesColumn::try_new(data).map_err(|_| bad())?,
        })))
    }

    /// Whether row `row` is Spark's struct for an undecodable image (height -1), which counts as NULL.
    #[must_use]
    pub fn is_invalid_mark(&self, row: usize) -> bool {
        matches!(self, Self::Pixels(p) if p.height.value(row) < 0)
    }
}

impl PixelsColumn {
    /// The image of row `row`.
    #[must_use]
    pub fn value(&self, row: usize) -> PixelsRow<'_> {
        PixelsRow {
            height: self.height.value(row),
            width: self.width.value(row),
            channels: self.channels.value(row),
            data: self.data.value(row),
        }
    }
}

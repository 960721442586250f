//! Why a picture could not be prepared: plain values, one a row, short enough to stand in a Spark error message.

use thiserror::Error;

/// Why one image gave no tensor. Never a fault of the model or of the machine.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ImageError {
    /// Zero bytes.
    #[error("the image is empty (0 bytes)")]
    Empty,
    /// The content is none of the formats known here.
    #[error("not an image: begins with {begins_with} (JPEG, PNG, WebP, GIF, BMP and TIFF are read)")]
    NotAnImage {
        /// The first bytes, printable.
        begins_with: String,
    },
    /// An image of a format that is not read at all.
    #[error("{format} images are not read: convert it to one of JPEG, PNG, WebP, GIF, BMP and TIFF first")]
    NotRead {
        /// Name of the format.
        format: &'static str,
    },
    /// A known format in a flavor that is not read.
    #[error("{format} with {what} is not supported")]
    Unsupported {
        /// Name of the format.
        format: &'static str,
        /// The flavor.
        what: String,
    },
    /// A known format that is damaged or cut off.
    #[error("corrupt {format}: {cause}")]
    Corrupt {
        /// Name of the format.
        format: &'static str,
        /// What the decoder stumbled over.
        cause: String,
    },
    /// More pixels than allowed.
    #[error("the image has {width} x {height} pixels, more than the {max_pixels} allowed (spark.flambeau.image.maxPixels)")]
    TooLarge {
        /// Pixels a row as the header declares.
        width: u64,
        /// Rows as the header declares.
        height: u64,
        /// The limit.
        max_pixels: u64,
    },
    /// Raw pixels whose size, channels and data disagree.
    #[error("bad pixels: {cause}")]
    BadPixels {
        /// What disagrees.
        cause: String,
    },
}

impl ImageError {
    /// A corrupt file of `format`, as its decoder words it.
    pub(super) fn corrupt(format: &'static str, cause: impl ToString) -> Self {
        Self::Corrupt { format, cause: cause.to_string() }
    }

    /// A flavor of `format` that is not read.
    pub(super) fn unsupported(format: &'static str, what: impl ToString) -> Self {
        Self::Unsupported { format, what: what.to_string() }
    }
}

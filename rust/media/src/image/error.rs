//! Why a picture could not be prepared: plain values, one per row, short enough for a Spark error message.

use thiserror::Error;

/// Why one image cannot become a tensor. Never an error of the model or of the machine.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ImageError {
    /// Zero bytes.
    #[error("the image is empty (0 bytes)")]
    Empty,
    /// The content is not in a known format.
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
    /// A variant of a known format that is not read.
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
        /// The decoder's error.
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
    /// A corrupt file of `format`, with its decoder's message.
    pub(super) fn corrupt(format: &'static str, cause: impl ToString) -> Self {
        Self::Corrupt { format, cause: cause.to_string() }
    }

    /// A variant of `format` that is not read.
    pub(super) fn unsupported(format: &'static str, what: impl ToString) -> Self {
        Self::Unsupported { format, what: what.to_string() }
    }
}

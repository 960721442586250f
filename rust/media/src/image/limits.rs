//! What one picture may cost.

use serde::Deserialize;

/// How exactly large pictures are decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decode {
    /// Every pixel that the model uses is decoded.
    #[default]
    Exact,
    /// Photos with far more pixels than the model uses are shrunk while they are decoded: some values differ by a gray level.
    Auto,
}

/// Limits for one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImageLimits {
    /// Pictures of more pixels (width × height as the header declares them) are refused before decoding.
    pub max_pixels: u64,
    /// How large ones are decoded.
    pub decode: Decode,
}

impl Default for ImageLimits {
    /// Twice the threshold for Pillow's warning about decompression bombs: 178 956 970 pixels; exact.
    fn default() -> Self {
        Self { max_pixels: 178_956_970, decode: Decode::Exact }
    }
}

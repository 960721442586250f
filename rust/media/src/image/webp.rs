//! WebP, lossy and lossless, by libwebp. For an animation, the first frame on its canvas, which is transparent black around it.

use flambeau_codecs::webp::WebP;

use super::picture::{Orientation, PIXEL_BYTES, Picture, checked_size, of_codec, unclean_buffer};
use super::{ImageError, ImageLimits};

const FORMAT: &str = "WebP";

/// Decodes the first frame of a WebP.
pub(super) fn decode(bytes: &[u8], orientation: Orientation, limits: &ImageLimits) -> Result<Picture, ImageError> {
    let webp = WebP::open(bytes).map_err(of_codec(FORMAT))?;
    let header = webp.header();
    let (width, height) = checked_size(FORMAT, u64::from(header.width), u64::from(header.height), limits)?;
    let mut pixels = unclean_buffer(FORMAT, width * height * PIXEL_BYTES)?;
    webp.pixels(&mut pixels).map_err(of_codec(FORMAT))?;
    Ok(Picture { width, height, pixels, has_alpha: header.has_alpha, orientation })
}

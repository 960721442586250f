//! Images into tensors: encoded bytes or raw pixels in, one normalized HWC block of `f32` out.
//!
//! **What lives here.** [`ImageSpec`] (the `[input.image]` table of a package) describes a model's input; [`prepare_encoded`] and
//! [`prepare_pixels`] make it. The steps for one picture: detect the format by content, decode to RGBA8, turn upright if
//! requested, flatten alpha. Then reorder or reduce channels, resize and center-crop in one pass, and apply scale, mean and std
//! to the output.
//!
//! **Guarantees.** The numbers are those of `PIL.Image.open(f).convert("RGB")` followed by torchvision's `Resize`,
//! `CenterCrop` and `Normalize` on PIL images. JPEG, TIFF and WebP are decoded by the same C libraries that Pillow uses
//! (`flambeau-codecs`). Other decoders differ by several gray levels, which changes the feature cosine of a small network by up
//! to 0.001. The resize is equal to Pillow's fixed-point arithmetic in every bit.
//!
//! **Who owns what.** Nothing outlives a call: decoders borrow the caller's bytes, the picture is one owned buffer, the result
//! goes to the caller's slice. There are no globals and no threads, so any thread may call this. On an error `out` may hold a
//! partial picture.
//!
//! **Hostile input** is ordinary input. Sizes are checked from the header before any pixel buffer is made, decoders run under
//! memory limits, and every failure is an [`ImageError`] that names the cause.

mod axis;
mod bmp;
mod channels;
mod class_map;
mod decode;
mod error;
mod gif;
mod jpeg;
mod limits;
mod narrow;
mod orient;
mod picture;
mod placement;
mod png;
mod raw;
mod resample;
mod sink;
mod sniff;
mod spare;
mod spec;
mod sums;
mod tiff;
mod webp;

#[cfg(test)]
mod tests;

pub use class_map::{ClassMap, ClassScores, MOST_CLASSES, class_map};
pub use error::ImageError;
pub use limits::{Decode, ImageLimits};
pub use placement::{Placement, Span};
pub use raw::PixelView;
pub use spec::{Channels, ImageSpec, Interpolation, Resize, Size};

/// Decodes one encoded image and writes it, prepared, into `out`.
///
/// Returns how the picture lies in it. `out` is `height * width * channels` values in that order (HWC) for
/// [`ImageSpec::output_size`] and [`ImageSpec::channels`].
///
/// # Errors
/// The bytes are not a whole picture within `limits`; see [`ImageError`].
pub fn prepare_encoded(bytes: &[u8], spec: &ImageSpec, limits: &ImageLimits, out: &mut [f32]) -> Result<Placement, ImageError> {
    check_output(spec, out)?;
    let format = sniff::sniff(bytes)?;
    decode::prepare(format, bytes, spec, limits, out)
}

/// Writes raw pixels, prepared, into `out`, as [`prepare_encoded`] does.
///
/// # Errors
/// [`ImageError::BadPixels`] when sizes, channels and data do not fit together; [`ImageError::TooLarge`].
pub fn prepare_pixels(pixels: &PixelView<'_>, spec: &ImageSpec, limits: &ImageLimits, out: &mut [f32]) -> Result<Placement, ImageError> {
    check_output(spec, out)?;
    raw::prepare_pixels(pixels, spec, limits, out)
}

fn check_output(spec: &ImageSpec, out: &[f32]) -> Result<(), ImageError> {
    let (height, width) = spec.output_size();
    let expected = height as u64 * width as u64 * spec.channels() as u64;
    if expected == 0 || out.len() as u64 != expected {
        return Err(ImageError::BadPixels { cause: format!("the output has room for {} values, the model takes {expected}", out.len()) });
    }
    Ok(())
}

//! From encoded bytes to prepared values: runs the decoder of the format.
//!
//! JPEG and PNG give their rows one by one; of the other formats the whole picture is decoded first.

use super::picture::{Orientation, Picture};
use super::placement::Placement;
use super::sink::{Sink, Stored};
use super::sniff::Format;
use super::{ImageError, ImageLimits, ImageSpec, bmp, gif, jpeg, orient, png, spare, tiff, webp};

/// Decodes `bytes` of `format` and prepares the picture.
pub(super) fn prepare(
    format: Format,
    bytes: &[u8],
    spec: &ImageSpec,
    limits: &ImageLimits,
    out: &mut [f32],
) -> Result<Placement, ImageError> {
    let orientation = match format {
        Format::Jpeg | Format::Png | Format::WebP if spec.exif_orientation => orient::read(bytes),
        _ => Orientation::UPRIGHT,
    };
    let picture = match format {
        Format::Jpeg => return jpeg::prepare(bytes, orientation, spec, limits, out),
        Format::Png => return png::prepare(bytes, orientation, spec, limits, out),
        Format::WebP => webp::decode(bytes, orientation, limits),
        Format::Gif => gif::decode(bytes, limits),
        Format::Bmp => bmp::decode(bytes, limits),
        Format::Tiff => tiff::decode(bytes, limits),
    }?;
    let Picture { width, height, mut pixels, has_alpha, orientation } = picture;
    let stored = Stored { width, height, shrink: 1, orientation, has_alpha };
    let mut sink = Sink::new(&stored, spec, out);
    sink.push_all(&mut pixels, width);
    spare::keep(pixels);
    Ok(sink.placement())
}

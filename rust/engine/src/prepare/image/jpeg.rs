//! JPEG by libjpeg-turbo: the accurate integer DCT and the smooth chroma upsampling that Pillow uses, so that pixels are equal to the
//! last bit, those of damaged files included.
//!
//! **Damaged files.** libjpeg reads on where it can and only warns, and so does Pillow: such a file has pixels. What Pillow refuses is
//! refused: segments that do not follow one another (`markers`), and files that end before their last row.

mod markers;

use flambeau_codecs::CodecError;
use flambeau_codecs::jpeg::Jpeg;

use super::channels::{grey_to_rgba, inverted_cmyk_to_rgba};
use super::decode::{PIXEL_BYTES, Picture, buffer, checked_size, of_codec};
use super::{ImageError, ImageLimits};

const FORMAT: &str = "JPEG";

/// Real files have at most some twenty scans, and perhaps a few more in embedded previews; files made to stall a decoder have thousands.
const MAX_SCANS: usize = 256;

/// Decodes a whole JPEG of any kind that libjpeg reads.
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, ImageError> {
    let scans = bytes.windows(2).filter(|pair| *pair == [0xFF, 0xDA]).count();
    if scans > MAX_SCANS {
        return Err(ImageError::unsupported(FORMAT, format!("{scans} scans (at most {MAX_SCANS})")));
    }
    let frame = markers::frame(bytes)?;
    let broken = |error| match error {
        CodecError::Cut => ImageError::corrupt(FORMAT, "the file is cut off before its last row"),
        other => of_codec(FORMAT)(other),
    };
    let jpeg = Jpeg::open(bytes).map_err(broken)?;
    let header = jpeg.header();
    let (width, height) = checked_size(FORMAT, u64::from(header.width), u64::from(header.height), limits)?;
    if (header.width, header.height, header.components) != (frame.width, frame.height, frame.components) {
        return Err(ImageError::corrupt(FORMAT, "it has more than one frame header"));
    }
    let grey = header.components == 1;
    let mut pixels = buffer(FORMAT, width * height * if grey { 1 } else { PIXEL_BYTES })?;
    jpeg.pixels(&mut pixels).map_err(broken)?;
    if grey {
        pixels = grey_to_rgba(pixels.into_iter());
    } else if header.components == 4 {
        inverted_cmyk_to_rgba(&mut pixels);
    }
    Ok(Picture { width, height, pixels, has_alpha: false })
}

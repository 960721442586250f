//! JPEG by libjpeg (vendored in `mozjpeg-sys`, built without assembler): the accurate integer DCT and the smooth chroma upsampling
//! that Pillow uses, so that pixels are equal to the last bit.
//!
//! **Errors by unwinding.** libjpeg reports a fatal error through a callback that must not return; `mozjpeg` leaves it by
//! `resume_unwind` with the message (no panic hook runs, nothing is printed) and asks its users to catch it. [`decode`] is the one
//! place that does, and turns it into an [`ImageError`]; the destructor of the decompressor runs on the way.
//!
//! **Cut files.** libjpeg itself pads a cut file with grey and warns. [`WholeFile`] gives it a read error instead, as Pillow does.

use std::cell::Cell;
use std::io::{BufRead, Error, ErrorKind, Read};
use std::panic::{AssertUnwindSafe, catch_unwind};

use mozjpeg::{ColorSpace, Decompress};

use super::decode::{PIXEL_BYTES, Picture, buffer, checked_size};
use super::{ImageError, ImageLimits};

const FORMAT: &str = "JPEG";

/// Real files have at most some twenty scans, and perhaps a few more in embedded previews; files made to stall a decoder have thousands.
const MAX_SCANS: usize = 256;

/// The bytes of a file, whose end is an error rather than an end: a whole JPEG is never read past its end marker.
struct WholeFile<'a> {
    rest: &'a [u8],
    cut: &'a Cell<bool>,
}

impl Read for WholeFile<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        self.rest.read(into)
    }
}

impl BufRead for WholeFile<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        if self.rest.is_empty() {
            self.cut.set(true);
            return Err(Error::from(ErrorKind::InvalidData));
        }
        Ok(self.rest)
    }

    fn consume(&mut self, bytes: usize) {
        self.rest = self.rest.get(bytes..).unwrap_or_default();
    }
}

/// Decodes a whole JPEG of any kind libjpeg reads.
pub(super) fn decode(bytes: &[u8], limits: &ImageLimits) -> Result<Picture, ImageError> {
    let scans = bytes.windows(2).filter(|pair| *pair == [0xFF, 0xDA]).count();
    if scans > MAX_SCANS {
        return Err(ImageError::unsupported(FORMAT, format!("{scans} scans (at most {MAX_SCANS})")));
    }
    let cut = Cell::new(false);
    let decoded = catch_unwind(AssertUnwindSafe(|| decompress(WholeFile { rest: bytes, cut: &cut }, limits)));
    match decoded {
        Ok(Ok(picture)) => Ok(picture),
        _ if cut.get() => Err(ImageError::corrupt(FORMAT, "the file is cut off before its end marker")),
        Ok(Err(error)) => Err(error),
        Err(message) => Err(ImageError::corrupt(FORMAT, cause(message.as_ref()))),
    }
}

/// libjpeg's own words, without the prefix that the crate puts before them.
fn cause(message: &(dyn std::any::Any + Send)) -> String {
    let words = match (message.downcast_ref::<String>(), message.downcast_ref::<&str>()) {
        (Some(owned), _) => owned.as_str(),
        (None, Some(borrowed)) => borrowed,
        (None, None) => "the decoder gave up",
    };
    words.trim_start_matches("libjpeg fatal error: ").to_owned()
}

fn decompress(file: WholeFile<'_>, limits: &ImageLimits) -> Result<Picture, ImageError> {
    let broken = |error: Error| ImageError::corrupt(FORMAT, error);
    let header = Decompress::new_reader(file).map_err(broken)?;
    let (width, height) = checked_size(FORMAT, header.width() as u64, header.height() as u64, limits)?;
    let in_cmyk = matches!(header.color_space(), ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK);
    let wanted = if in_cmyk { ColorSpace::JCS_CMYK } else { ColorSpace::JCS_EXT_RGBA };
    let mut pixels = buffer(FORMAT, width * height * PIXEL_BYTES)?;
    let mut started = header.to_colorspace(wanted).map_err(broken)?;
    if (started.width(), started.height()) != (width, height) {
        return Err(ImageError::corrupt(FORMAT, "its size changes while decoding"));
    }
    started.read_scanlines_into(&mut pixels[..]).map_err(broken)?;
    started.finish().map_err(broken)?;
    if in_cmyk {
        super::channels::inverted_cmyk_to_rgba(&mut pixels);
    }
    Ok(Picture { width, height, pixels, has_alpha: false })
}

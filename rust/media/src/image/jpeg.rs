//! JPEG by libjpeg-turbo: the accurate integer DCT and the smooth chroma upsampling that Pillow uses, so that pixels are exactly
//! equal, for damaged files too. Rows and columns outside the crop are not computed, and there is never a whole picture in
//! memory.
//!
//! **Large photos.** The DCT can compute a half, a quarter or an eighth of each side in less time. If pixels need not be exact,
//! this is done as long as the sides are still twice as long as the resize needs.
//!
//! **Damaged files.** libjpeg continues after many errors with a warning, and so does Pillow: such a file has pixels. Files that
//! Pillow rejects are rejected: segments that do not follow one another (`markers`), and files that end before their last row.

mod markers;

use flambeau_codecs::CodecError;
use flambeau_codecs::jpeg::Jpeg;

use super::channels::{gray_to_rgba, inverted_cmyk_to_rgba};
use super::picture::{Orientation, PIXEL_BYTES, checked_size, of_codec, unclean_buffer};
use super::placement::Placement;
use super::sink::{Sink, Stored};
use super::{Decode, ImageError, ImageLimits, ImageSpec, spare};

const FORMAT: &str = "JPEG";

/// Real files have at most some twenty scans, and perhaps a few more in embedded previews; files made to stall a decoder have thousands.
const MAX_SCANS: usize = 256;

/// Rows decoded at a time: few enough to stay in the processor's cache until they are resized.
const BAND_ROWS: usize = 16;

/// Decodes a JPEG of any kind that libjpeg reads, as far as it is needed, and prepares it.
pub(super) fn prepare(
    bytes: &[u8],
    orientation: Orientation,
    spec: &ImageSpec,
    limits: &ImageLimits,
    out: &mut [f32],
) -> Result<Placement, ImageError> {
    let jpeg = open(bytes, limits)?;
    let header = jpeg.header();
    let (width, height) = (header.width as usize, header.height as usize);
    let mut stored = Stored { width, height, shrink: 1, orientation, has_alpha: false };
    if limits.decode == Decode::Auto && header.shrinks {
        stored.shrink = stored.most_shrink(spec) as usize;
    }
    let mut sink = Sink::new(&stored, spec, out);
    let mut rows = jpeg.start(stored.shrink as u32).map_err(broken)?;
    let (needed_columns, needed_rows) = (sink.columns(), sink.rows());
    rows.narrow(needed_columns.start as u32..needed_columns.end as u32).map_err(broken)?;
    let left = rows.columns().start as usize;
    let (row_bytes, pixels) = (rows.row_bytes(), rows.columns().len());
    let mut band = unclean_buffer(FORMAT, BAND_ROWS * (row_bytes + pixels * PIXEL_BYTES))?;
    let (band_rows, line) = band.split_at_mut(BAND_ROWS * row_bytes);
    rows.skip(needed_rows.start as u32, &mut band_rows[..row_bytes]).map_err(broken)?;
    let mut wanted = needed_rows.len();
    while wanted > 0 {
        let count = wanted.min(BAND_ROWS);
        let decoded = &mut band_rows[..count * row_bytes];
        rows.read(decoded).map_err(broken)?;
        for row in decoded.chunks_exact_mut(row_bytes) {
            match header.components {
                1 => {
                    let line = &mut line[..pixels * PIXEL_BYTES];
                    gray_to_rgba(row.iter().copied(), line);
                    sink.push(line, left);
                    continue;
                }
                4 => inverted_cmyk_to_rgba(row),
                _ => {}
            }
            sink.push(row, left);
        }
        wanted -= count;
    }
    rows.finish(&mut band_rows[..row_bytes]).map_err(broken)?;
    spare::keep(band);
    Ok(sink.placement())
}

fn broken(error: CodecError) -> ImageError {
    match error {
        CodecError::Cut => ImageError::corrupt(FORMAT, "the file is cut off before its last row"),
        other => of_codec(FORMAT)(other),
    }
}

/// A file whose header was read and is within the limits.
fn open<'a>(bytes: &'a [u8], limits: &ImageLimits) -> Result<Jpeg<'a>, ImageError> {
    let scans = memchr::memmem::find_iter(bytes, &[0xFF, 0xDA]).count();
    if scans > MAX_SCANS {
        return Err(ImageError::unsupported(FORMAT, format!("{scans} scans (at most {MAX_SCANS})")));
    }
    let frame = markers::frame(bytes)?;
    let jpeg = Jpeg::open(bytes).map_err(broken)?;
    let header = jpeg.header();
    checked_size(FORMAT, u64::from(header.width), u64::from(header.height), limits)?;
    if (header.width, header.height, header.components) != (frame.width, frame.height, frame.components) {
        return Err(ImageError::corrupt(FORMAT, "it has more than one frame header"));
    }
    Ok(jpeg)
}

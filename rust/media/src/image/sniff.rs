//! Finds the format of encoded bytes from the bytes alone; file names and content types can be wrong.

use super::ImageError;

/// The formats that are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Jpeg,
    Png,
    WebP,
    Gif,
    Bmp,
    Tiff,
}

/// How many leading bytes an error shows.
const SHOWN_BYTES: usize = 16;
/// How far the `<svg` of an SVG file may be from its start, after comments and declarations.
const SVG_SHOWS_WITHIN_BYTES: usize = 1024;

/// The format of `bytes`, or [`ImageError::Empty`] / [`ImageError::NotRead`] / [`ImageError::NotAnImage`].
pub(super) fn sniff(bytes: &[u8]) -> Result<Format, ImageError> {
    match bytes {
        [] => Err(ImageError::Empty),
        [0xFF, 0xD8, 0xFF, ..] => Ok(Format::Jpeg),
        [0x89, b'P', b'N', b'G', 0x0D, 0x0A, 0x1A, 0x0A, ..] => Ok(Format::Png),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => Ok(Format::WebP),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Ok(Format::Gif),
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] | [b'I', b'I', 43, 0, ..] | [b'M', b'M', 0, 43, ..] => Ok(Format::Tiff),
        _ if is_bmp(bytes) => Ok(Format::Bmp),
        _ => Err(match other_format(bytes) {
            Some(format) => ImageError::NotRead { format },
            None => ImageError::NotAnImage { begins_with: begins_with(bytes) },
        }),
    }
}

/// Names common formats that are not read here, so that the error can name the file's format.
fn other_format(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [_, _, _, _, b'f', b't', b'y', b'p', ..] => iso_media(bytes),
        [0, 0, 0, 12, b'j', b'P', b' ', b' ', ..] | [0xFF, 0x4F, 0xFF, 0x51, ..] => Some("JPEG 2000"),
        [0, 0, 0, 12, b'J', b'X', b'L', b' ', ..] | [0xFF, 0x0A, ..] => Some("JPEG XL"),
        [b'I', b'I', 0xBC, ..] => Some("JPEG XR"),
        [b'8', b'B', b'P', b'S', ..] => Some("Photoshop"),
        [0, 0, 1 | 2, 0, _, 0, ..] => Some("icon (ICO)"),
        [b'P', b'1'..=b'7', b' ' | b'\n' | b'\r' | b'\t' | b'#', ..] => Some("Netpbm"),
        [b'q', b'o', b'i', b'f', ..] => Some("QOI"),
        _ if bytes.starts_with(b"%PDF-") => Some("PDF"),
        _ if bytes.starts_with(b"#?RADIANCE") => Some("Radiance HDR"),
        [0x76, 0x2F, 0x31, 0x01, ..] => Some("OpenEXR"),
        _ if is_svg(bytes) => Some("SVG"),
        _ => None,
    }
}

/// AVIF and HEIC are both in ISO media files; the brands at the start distinguish them; `mif1` can be either.
fn iso_media(bytes: &[u8]) -> Option<&'static str> {
    let length = u32::from_be_bytes(bytes.get(..4)?.try_into().ok()?) as usize;
    let brands = bytes.get(8..length.clamp(12, 256).min(bytes.len()))?;
    let has = |wanted: &[&[u8; 4]]| brands.chunks_exact(4).any(|brand| wanted.iter().any(|name| brand == *name));
    if has(&[b"avif", b"avis"]) {
        return Some("AVIF");
    }
    has(&[b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"]).then_some("HEIC")
}

fn is_svg(bytes: &[u8]) -> bool {
    let start = &bytes[..bytes.len().min(SVG_SHOWS_WITHIN_BYTES)];
    let begins = start.trim_ascii_start();
    (begins.starts_with(b"<svg") || begins.starts_with(b"<?xml")) && start.windows(4).any(|four| four == b"<svg")
}

/// `BM` alone also begins words, so the size of the information header must be one that exists.
fn is_bmp(bytes: &[u8]) -> bool {
    bytes.starts_with(b"BM") && matches!(bytes.get(14..18), Some([12 | 16 | 40 | 52 | 56 | 64 | 108 | 124, 0, 0, 0]))
}

/// The first bytes for a message: quoted text if they are text, otherwise hexadecimal.
fn begins_with(bytes: &[u8]) -> String {
    let shown = &bytes[..bytes.len().min(SHOWN_BYTES)];
    if shown.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t')) {
        return format!("{:?}", String::from_utf8_lossy(shown));
    }
    let hex: Vec<String> = shown.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("bytes {}", hex.join(" "))
}

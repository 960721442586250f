//! A part of a JPEG has the pixels of the whole: every JPEG of the parity archives, cut in many ways, at full size and shrunk.
//!
//! The pixels of a part depend on the borders of libjpeg's blocks, of its groups of rows and of its chroma smoothing. So files of
//! every subsampling are cut near all of these borders. A part of a damaged file gives the same error as the whole.

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod archives;

use std::ops::Range;

use flambeau_codecs::CodecError;
use flambeau_codecs::jpeg::Jpeg;
use flambeau_media::image::{Decode, ImageLimits, ImageSpec, prepare_encoded};

struct Random(u64);

impl Random {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % u64::from(bound)) as u32
    }

    /// Not empty, within `0..bound`; often short.
    fn range(&mut self, bound: u32) -> Range<u32> {
        let start = self.below(bound);
        let most = if self.below(3) == 0 { (bound - start).min(4) } else { bound - start };
        start..start + 1 + self.below(most)
    }
}

/// Columns, rows and pixels of a part, bytes row by row.
type Part = (Range<u32>, Vec<u8>);

fn part(file: &[u8], shrink: u32, cut: Option<(Range<u32>, Range<u32>)>) -> Result<Part, CodecError> {
    let mut rows = Jpeg::open(file)?.start(shrink)?;
    let (_, wanted) = cut.clone().unwrap_or((rows.columns(), 0..rows.height()));
    if let Some((columns, _)) = cut {
        rows.narrow(columns)?;
    }
    let mut room = vec![0; rows.row_bytes()];
    rows.skip(wanted.start, &mut room)?;
    let mut pixels = vec![0; wanted.len() * rows.row_bytes()];
    rows.read(&mut pixels)?;
    let columns = rows.columns();
    rows.finish(&mut room)?;
    Ok((columns, pixels))
}

/// The part of `whole` that the columns and rows cut out; `pixel` bytes per pixel.
fn cut_out(whole: &Part, pixel: usize, columns: &Range<u32>, rows: &Range<u32>) -> Vec<u8> {
    let width = whole.0.len();
    let row = |y: u32| {
        let start = y as usize * width;
        &whole.1[(start + columns.start as usize) * pixel..(start + columns.end as usize) * pixel]
    };
    rows.clone().flat_map(row).copied().collect()
}

#[test]
fn a_part_has_the_pixels_of_the_whole() {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let (mut narrowed, mut wrong) = (0, Vec::new());
    for picture in archives::read("sound.pictures").iter().chain(&archives::read("damaged.pictures")) {
        let Ok(jpeg) = Jpeg::open(&picture.file) else { continue };
        let header = jpeg.header();
        if !picture.name.ends_with(".jpg") || u64::from(header.width) * u64::from(header.height) > 1 << 20 {
            continue;
        }
        let pixel = if header.components == 1 { 1 } else { 4 };
        for shrink in if header.shrinks { &[1, 2, 4, 8][..] } else { &[1] } {
            let whole = part(&picture.file, *shrink, None);
            let (width, height) = (header.width.div_ceil(*shrink), header.height.div_ceil(*shrink));
            for _ in 0..if picture.name.starts_with("part") { 100 } else { 4 } {
                let (columns, rows) = (random.range(width), random.range(height));
                let told = format!("{} 1/{shrink}, columns {columns:?} of {width}, rows {rows:?} of {height}", picture.name);
                match (&whole, part(&picture.file, *shrink, Some((columns.clone(), rows.clone())))) {
                    (Ok(whole), Ok(part)) => {
                        assert!(part.0.start <= columns.start && part.0.end >= columns.end, "{told}: {:?}", part.0);
                        narrowed += usize::from(part.0.len() < whole.0.len());
                        let within = columns.start - part.0.start..columns.end - part.0.start;
                        let found = cut_out(&part, pixel, &within, &(0..rows.len() as u32));
                        if found != cut_out(whole, pixel, &columns, &rows) {
                            wrong.push(format!("{told}: other pixels"));
                        }
                    }
                    (Err(whole), Err(part)) if *whole == part => {}
                    (whole, part) => wrong.push(format!("{told}: {:?}, in part {:?}", whole.as_ref().map(drop), part.map(drop))),
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} parts:\n{}", wrong.len(), wrong.join("\n"));
    assert!(narrowed > 1000, "only {narrowed} parts left out columns");
}

/// Pictures are not rotated; their axes are exchanged or reversed. The values are those of the upright picture.
#[test]
fn every_orientation_gives_the_values_of_the_upright_picture() {
    let limits = ImageLimits { decode: Decode::Exact, ..ImageLimits::default() };
    let pictures = archives::read("sound.pictures");
    for filter in ["nearest", "box", "bilinear", "bicubic", "lanczos"] {
        for shape in ["resize = 40\ncrop = [30, 26]", "resize = [33, 61]", "resize = 70\ncrop = 101", "crop = [20, 31]"] {
            let toml = format!("{shape}\nscale = 1.0\ninterpolation = '{filter}'");
            let spec: ImageSpec = toml::from_str(&toml).expect("a spec");
            let values = |name: &str, upright: bool| {
                let picture = pictures.iter().find(|picture| picture.name == name).unwrap_or_else(|| panic!("{name} is missing"));
                let (height, width) = spec.output_size();
                let mut out = vec![f32::NAN; height * width * 3];
                let spec = ImageSpec { exif_orientation: upright, ..spec.clone() };
                prepare_encoded(&picture.file, &spec, &limits, &mut out).expect(name);
                out
            };
            for orientation in 1..=8 {
                let turned = values(&format!("part_oriented_{orientation}.png"), true);
                assert!(turned == values(&format!("part_upright_{orientation}.png"), false), "orientation {orientation}, {toml}");
            }
        }
    }
}

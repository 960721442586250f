//! The last steps for a picture, row by row from the top as it is stored: alpha and channels, resize and center crop, orientation,
//! normalization, in one pass over the rows that the model uses.
//!
//! Decoders ask which rows and columns are needed and decode those. Pictures are not rotated: the orientation decides about the
//! axes' taps and where an output pixel is written.

use std::ops::Range;

use super::axis::{Aim, Axis, Side};
use super::channels::Flatten;
use super::picture::{Orientation, PIXEL_BYTES};
use super::placement::{Placement, Span};
use super::resample::Resampler;
use super::spec::{ImageSpec, Interpolation};

/// How many times larger than the resized picture a picture must be after it was shrunk while decoding.
const KEPT_WHEN_SHRUNK: f64 = 2.0;

/// A picture as it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stored {
    /// Pixels a row, before any shrinking.
    pub width: usize,
    /// Rows, before any shrinking.
    pub height: usize,
    /// The divisor of both sides while the picture was decoded.
    pub shrink: usize,
    /// How it lies.
    pub orientation: Orientation,
    /// False when every alpha is known to be 255.
    pub has_alpha: bool,
}

impl Stored {
    /// Size of the resized picture along the stored axes.
    fn resized(&self, spec: &ImageSpec) -> (usize, usize) {
        let (width, height) = self.orientation.swap((self.width, self.height));
        self.orientation.swap(spec.resized(width, height))
    }

    /// The largest divisor of both sides (1, 2, 4 or 8) that leaves enough pixels for the resize.
    pub(super) fn most_shrink(&self, spec: &ImageSpec) -> u32 {
        let (width, height) = self.resized(spec);
        let keeps = |from: usize, to: usize, shrink: u32| from as f64 / f64::from(shrink) >= to as f64 * KEPT_WHEN_SHRUNK;
        let enough = |&shrink: &u32| keeps(self.width, width, shrink) && keeps(self.height, height, shrink);
        let is_filtered = spec.interpolation != Interpolation::Nearest;
        [8, 4, 2].into_iter().find(enough).filter(|_| is_filtered).unwrap_or(1)
    }
}

/// Takes the rows of one picture and writes the model's values.
pub(super) struct Sink<'a> {
    flatten: Flatten,
    /// Columns and rows that are needed.
    reach: (Range<usize>, Range<usize>),
    resampler: Resampler,
    place: Place,
    tables: Vec<[f32; 256]>,
    placement: Placement,
    out: &'a mut [f32],
}

/// Where output pixels go.
struct Place {
    /// The first value of the first stored pixel.
    origin: usize,
    /// Values to the next stored pixel of a row, and to the next stored row.
    across: isize,
    down: isize,
}

impl<'a> Sink<'a> {
    /// For `stored`, prepared as in `spec`, into `out` (HWC).
    pub(super) fn new(stored: &Stored, spec: &ImageSpec, out: &'a mut [f32]) -> Self {
        let orientation = stored.orientation;
        let (crop_height, crop_width) = spec.output_size();
        let (width, height) = orientation.swap(stored.resized(spec));
        let (columns, rows) = (center(width, crop_width), center(height, crop_height));
        let whole = orientation.swap((stored.width, stored.height));
        let placement = Placement { x: columns.span(whole.0, width, crop_width), y: rows.span(whole.1, height, crop_height) };
        let tables = spec.tables();
        if columns.len < crop_width || rows.len < crop_height {
            fill_black(&tables, out);
        }
        let (across_aim, down_aim) = orientation.swap((columns.aim(width), rows.aim(height)));
        let side = |pixels: usize, mirrored: bool| Side {
            pixels: pixels.div_ceil(stored.shrink),
            length: pixels as f64 / stored.shrink as f64,
            mirrored,
        };
        let (across_side, down_side) = (side(stored.width, orientation.mirrors_columns()), side(stored.height, orientation.mirrors_rows()));
        let upright = orientation.swap((across_side.pixels, down_side.pixels));
        let down_first = rows_first(upright, (width, height)) != orientation.transposed();
        let channels = tables.len();
        let (across_step, down_step) = orientation.swap((channels as isize, (crop_width * channels) as isize));
        let place = Place { origin: (rows.border * crop_width + columns.border) * channels, across: across_step, down: down_step };
        let place = place.mirrored(across_aim.count, down_aim.count, orientation);
        let across = Axis::new(spec.interpolation, across_side, across_aim);
        let down = Axis::new(spec.interpolation, down_side, down_aim);
        let reach = (across.reach.clone(), down.reach.clone());
        let resampler = Resampler::new(across, down, down_first);
        Self { flatten: Flatten::new(spec, stored.has_alpha), reach, resampler, place, tables, placement, out }
    }

    /// How the picture lies in its prepared image.
    pub(super) fn placement(&self) -> Placement {
        self.placement
    }

    /// The stored columns that are needed.
    pub(super) fn columns(&self) -> Range<usize> {
        self.reach.0.clone()
    }

    /// The stored rows that are needed.
    pub(super) fn rows(&self) -> Range<usize> {
        self.reach.1.clone()
    }

    /// Takes the next row that is needed (RGBA); its first pixel is that of column `left`. The row is changed.
    pub(super) fn push(&mut self, row: &mut [u8], left: usize) {
        let Self { flatten, reach: (columns, _), resampler, place, tables, out, .. } = self;
        let row = &mut row[(columns.start - left) * PIXEL_BYTES..(columns.end - left) * PIXEL_BYTES];
        flatten.row(row);
        resampler.push(row, |y, row| place.write(y, row, tables, out));
    }

    /// Takes the rows that are needed from a whole picture.
    pub(super) fn push_all(&mut self, pixels: &mut [u8], width: usize) {
        for y in self.rows() {
            self.push(&mut pixels[y * width * PIXEL_BYTES..(y + 1) * width * PIXEL_BYTES], 0);
        }
    }
}

impl Place {
    /// The target for a picture whose stored pixels begin at the other ends.
    fn mirrored(mut self, columns: usize, rows: usize, orientation: Orientation) -> Self {
        for (mirrored, step, count) in
            [(orientation.mirrors_columns(), &mut self.across, columns), (orientation.mirrors_rows(), &mut self.down, rows)]
        {
            if mirrored {
                self.origin = self.origin.wrapping_add_signed(*step * (count as isize - 1));
                *step = -*step;
            }
        }
        self
    }

    /// Writes output row `y` in stored order.
    fn write(&self, y: usize, row: &[u8], tables: &[[f32; 256]], out: &mut [f32]) {
        let start = self.origin.wrapping_add_signed(self.down * y as isize);
        let pixels = row.chunks_exact(PIXEL_BYTES);
        if let ([first, second, third], 3) = (tables, self.across) {
            for (values, pixel) in out[start..].chunks_exact_mut(3).zip(pixels) {
                values[0] = first[usize::from(pixel[0])];
                values[1] = second[usize::from(pixel[1])];
                values[2] = third[usize::from(pixel[2])];
            }
            return;
        }
        for (x, pixel) in pixels.enumerate() {
            let at = start.wrapping_add_signed(self.across * x as isize);
            for ((value, table), &byte) in out[at..].iter_mut().zip(tables).zip(pixel) {
                *value = table[usize::from(byte)];
            }
        }
    }
}

/// Whether the vertical pass comes first: where the height shrinks by more than twice what the width does (Pillow 13's rule).
fn rows_first((width, height): (usize, usize), (new_width, new_height): (usize, usize)) -> bool {
    let shrinks = |from: usize, to: usize| from as i64 - to as i64;
    let (by_height, by_width) = (shrinks(height, new_height), shrinks(width, new_width));
    by_height > 0 && by_height > by_width * 2
}

/// One axis of a center crop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Center {
    /// First pixel taken.
    start: usize,
    /// Pixels taken.
    len: usize,
    /// Border before them, if the picture is smaller than the crop.
    border: usize,
}

impl Center {
    fn aim(self, whole: usize) -> Aim {
        Aim { whole, start: self.start, count: self.len }
    }

    /// For a picture of `picture` pixels that has `resized` after the resize and is shown in `prepared`.
    fn span(self, picture: usize, resized: usize, prepared: usize) -> Span {
        Span { picture, resized, prepared, start: self.border as isize - self.start as isize }
    }
}

/// The middle `crop` of `size` pixels as torchvision rounds it: halves go to the even neighbor; an odd border is wider at the end.
fn center(size: usize, crop: usize) -> Center {
    if size < crop {
        return Center { start: 0, len: size, border: (crop - size) / 2 };
    }
    let spare = size - crop;
    let half = spare / 2;
    let start = if spare % 2 == 1 && half % 2 == 1 { half + 1 } else { half };
    Center { start, len: crop, border: 0 }
}

fn fill_black(tables: &[[f32; 256]], out: &mut [f32]) {
    for values in out.chunks_exact_mut(tables.len().max(1)) {
        for (value, table) in values.iter_mut().zip(tables) {
            *value = table[0];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Center, center};

    #[test]
    fn a_center_crop_rounds_as_torchvision_does() {
        // int(round((size - crop) / 2.0)) of Python: 0.5 -> 0, 1.5 -> 2, 2.5 -> 2, 3.5 -> 4.
        for (size, crop, start) in [(5, 4, 0), (7, 4, 2), (9, 4, 2), (11, 4, 4), (8, 4, 2), (4, 4, 0), (341, 224, 58)] {
            assert_eq!(center(size, crop), Center { start, len: crop, border: 0 });
        }
        assert_eq!(center(3, 8), Center { start: 0, len: 3, border: 2 });
    }
}

//! The last leg: resize, centre crop, normalisation and write-out in one pass over the rows that the model sees.

use super::decode::{PIXEL_BYTES, Picture};
use super::resample::{Window, resample};
use super::spec::ImageSpec;

/// Writes `picture` as `spec` wants it into `out` (HWC).
pub(super) fn write(picture: &Picture, spec: &ImageSpec, out: &mut [f32]) {
    let (crop_height, crop_width) = spec.output_size();
    let (width, height) = spec.resized(picture.width, picture.height);
    let columns = centre(width, crop_width);
    let rows = centre(height, crop_height);
    let tables = spec.tables();
    if columns.len < crop_width || rows.len < crop_height {
        fill_black(&tables, out);
    }
    let channels = tables.len();
    let window = Window { x: columns.start, y: rows.start, width: columns.len, height: rows.len };
    resample(picture, (width, height), window, spec.interpolation, |y, row| {
        let start = ((rows.border + y) * crop_width + columns.border) * channels;
        let line = &mut out[start..start + columns.len * channels];
        match tables.as_slice() {
            [first, second, third] => {
                for (values, pixel) in line.chunks_exact_mut(3).zip(row.chunks_exact(PIXEL_BYTES)) {
                    values[0] = first[usize::from(pixel[0])];
                    values[1] = second[usize::from(pixel[1])];
                    values[2] = third[usize::from(pixel[2])];
                }
            }
            tables => {
                for (values, pixel) in line.chunks_exact_mut(channels).zip(row.chunks_exact(PIXEL_BYTES)) {
                    for ((value, table), &byte) in values.iter_mut().zip(tables).zip(pixel) {
                        *value = table[usize::from(byte)];
                    }
                }
            }
        }
    });
}

/// One axis of a centre crop.
#[derive(Debug, PartialEq, Eq)]
struct Centre {
    /// First pixel taken.
    start: usize,
    /// Pixels taken.
    len: usize,
    /// Border before them, where the picture is smaller than the crop.
    border: usize,
}

/// The middle `crop` of `size` pixels as torchvision rounds it: halves go to the even neighbour; an odd border is wider at the end.
fn centre(size: usize, crop: usize) -> Centre {
    if size < crop {
        return Centre { start: 0, len: size, border: (crop - size) / 2 };
    }
    let spare = size - crop;
    let half = spare / 2;
    let start = if spare % 2 == 1 && half % 2 == 1 { half + 1 } else { half };
    Centre { start, len: crop, border: 0 }
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
    use super::{Centre, centre};

    #[test]
    fn a_centre_crop_rounds_as_torchvision_does() {
        // int(round((size - crop) / 2.0)) of Python: 0.5 -> 0, 1.5 -> 2, 2.5 -> 2, 3.5 -> 4.
        for (size, crop, start) in [(5, 4, 0), (7, 4, 2), (9, 4, 2), (11, 4, 4), (8, 4, 2), (4, 4, 0), (341, 224, 58)] {
            assert_eq!(centre(size, crop), Centre { start, len: crop, border: 0 });
        }
        assert_eq!(centre(3, 8), Centre { start: 0, len: 3, border: 2 });
    }
}

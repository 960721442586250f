//! Random changes of prepared images: mirrored, shifted, brighter or darker, with more or less contrast.
//!
//! The changes of a row are a function of seed, epoch and the row's id, so they do not depend on the worker. Images
//! come normalized (mean and deviation of the package), and brightness and contrast change those values.

use flambeau_engine::{memory, pool};
use rayon::prelude::*;
use tch::{TchError, Tensor};

use super::random::Stream;
use super::spec::AugmentSpec;

/// Purpose of the stream of random numbers.
const PURPOSE: u64 = 4;

/// `images`: `[n, c, h, w]` with channels last in memory; `ids`: one for each. Returns new images with the same layout.
pub(super) fn apply(spec: &AugmentSpec, images: &Tensor, ids: &[i64], seed: u64, epoch: usize) -> Result<Tensor, TchError> {
    let nhwc = images.f_permute([0, 2, 3, 1])?.f_contiguous()?;
    let shape = nhwc.size();
    let (height, width, channels) = (shape[1] as usize, shape[2] as usize, shape[3] as usize);
    let block = height * width * channels;
    let Some(source) = memory::values::<f32>(&nhwc) else {
        return Err(TchError::Kind("images to augment must be f32".into()));
    };
    let (changed, ()) = memory::filled(&shape, |out: &mut [f32]| {
        let rows = out.par_chunks_mut(block.max(1)).zip(source.par_chunks(block.max(1))).zip(ids);
        pool::install(|| {
            rows.for_each(|((to, from), id)| {
                let stream = Stream::of(&[seed, PURPOSE, epoch as u64, *id as u64]);
                shifted(spec, stream, from, to, (height, width, channels));
                jittered(spec, stream, to);
            });
        });
    })?;
    changed.f_permute([0, 3, 1, 2])
}

/// Mirrors and shifts; new pixels are copies of the edge's.
fn shifted(spec: &AugmentSpec, stream: Stream, from: &[f32], to: &mut [f32], (height, width, channels): (usize, usize, usize)) {
    let mirrored = spec.flip && stream.at(0) & 1 == 1;
    let shift = |n| stream.below(n, 2 * spec.shift as u64 + 1) as i64 - spec.shift as i64;
    let (down, right) = (shift(1), shift(2));
    let inside = |at: usize, by: i64, size: usize| (at as i64 + by).clamp(0, size as i64 - 1) as usize;
    for y in 0..height {
        let row = inside(y, down, height) * width;
        for x in 0..width {
            let column = inside(x, right, width);
            let column = if mirrored { width - 1 - column } else { column };
            let (source, target) = ((row + column) * channels, (y * width + x) * channels);
            to[target..target + channels].copy_from_slice(&from[source..source + channels]);
        }
    }
}

fn jittered(spec: &AugmentSpec, stream: Stream, image: &mut [f32]) {
    if spec.color_jitter <= 0.0 || image.is_empty() {
        return;
    }
    let change = |n| spec.color_jitter * (2.0 * stream.unit(n) - 1.0);
    let (brightness, contrast) = (change(3) as f32, 1.0 + change(4) as f32);
    let mean = image.iter().map(|v| f64::from(*v)).sum::<f64>() / image.len() as f64;
    let mean = mean as f32;
    for value in image {
        *value = (*value - mean) * contrast + mean + brightness;
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests fail by panicking")]
mod tests {
    use super::*;

    fn images() -> Tensor {
        let values: Vec<f32> = (0..2 * 4 * 4 * 3).map(|i| i as f32).collect();
        Tensor::from_slice(&values).view([2, 4, 4, 3]).permute([0, 3, 1, 2])
    }

    fn values(t: &Tensor) -> Vec<f32> {
        Vec::try_from(t.contiguous().view([-1])).unwrap()
    }

    #[test]
    fn nothing_asked_changes_nothing() {
        let same = apply(&AugmentSpec::default(), &images(), &[1, 2], 3, 0).unwrap();
        assert_eq!(values(&same), values(&images()));
    }

    #[test]
    fn a_row_changes_by_its_id_and_the_epoch_alone() {
        let spec = AugmentSpec { flip: true, shift: 2, color_jitter: 0.3 };
        let both = apply(&spec, &images(), &[1, 2], 3, 0).unwrap();
        let second = apply(&spec, &images().narrow(0, 1, 1), &[2], 3, 0).unwrap();
        assert_eq!(values(&both.narrow(0, 1, 1)), values(&second));
        assert_ne!(values(&both), values(&apply(&spec, &images(), &[1, 2], 3, 1).unwrap()));
    }

    #[test]
    fn half_of_the_rows_are_mirrored() {
        let spec = AugmentSpec { flip: true, ..AugmentSpec::default() };
        let image = images().narrow(0, 0, 1);
        let mirrored = values(&image.flip([3]));
        let count = (0..200).filter(|id| values(&apply(&spec, &image, &[*id], 3, 0).unwrap()) == mirrored).count();
        assert!((70..130).contains(&count), "{count}");
    }
}

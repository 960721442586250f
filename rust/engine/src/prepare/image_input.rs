//! Image columns into one tensor with channels last. The threads of the decode pool write rows in parallel, each into its own [h,
//! w, c] block. The program gets a strided view [rows, c, h, w].

use arrow_array::ArrayRef;
use flambeau_columns::ImageColumn;
use flambeau_media::image::{ImageError, ImageLimits, ImageSpec, PixelView, Placement, prepare_encoded, prepare_pixels};
use rayon::prelude::*;
use tch::Tensor;

use super::guard;
use super::spares::Spares;
use super::staged::made_up;
use super::{Limits, Staged, StagedRows};
use crate::{EngineError, memory, pool};

/// Of one image input.
#[derive(Debug)]
pub struct ImagePreparer {
    spec: ImageSpec,
    spares: Spares,
}

pub(super) fn is_null_mark(column: &ArrayRef, row: usize) -> bool {
    ImageColumn::try_new(column).is_ok_and(|images| images.is_invalid_mark(row))
}

impl ImagePreparer {
    pub(super) fn new(spec: ImageSpec) -> Self {
        Self { spec, spares: Spares::default() }
    }

    /// How a picture's bytes are converted, for each channel.
    #[must_use]
    pub fn tables(&self) -> Vec<[f32; 256]> {
        self.spec.tables()
    }

    /// The steps of a picture's preparation, as text.
    #[must_use]
    pub fn made(&self) -> String {
        format!("{:?}", self.spec)
    }

    /// Height, width, channels.
    #[must_use]
    pub fn block(&self) -> (usize, usize, usize) {
        let (height, width) = self.spec.output_size();
        (height, width, self.spec.channels())
    }

    pub(super) fn row_bytes(&self) -> u64 {
        let (height, width, channels) = self.block();
        (height * width * channels * size_of::<f32>()) as u64
    }

    pub(super) fn stage(&self, model: &str, column: &ArrayRef, rows: &[usize], limits: &Limits) -> Result<Staged, EngineError> {
        let images = ImageColumn::try_new(column).map_err(|error| EngineError::Internal(error.to_string()))?;
        let stop = &limits.stop;
        let limits = limits.images;
        let (height, width, channels) = self.block();
        let shape = [rows.len(), height, width, channels].map(|n| n as i64);
        let fill = |out: &mut [f32]| {
            let blocks = out.par_chunks_mut(height * width * channels).zip(rows);
            let prepare = |row: usize, block: &mut [f32]| guard::row(stop, || self.prepare(&images, row, &limits, block));
            pool::install(|| blocks.map(|(block, &row)| prepare(row, block)).collect::<Vec<_>>())
        };
        let (tensor, prepared) = self.spares.filled(&shape, fill).map_err(|error| EngineError::torch(model, error))?;
        let placements = prepared.iter().map(|one| one.as_ref().copied().unwrap_or_default()).collect();
        let errors = prepared.into_iter().enumerate().filter_map(|(i, one)| one.err().map(|error| (i, error))).collect();
        let nchw = tensor.f_permute([0, 3, 1, 2]).map_err(|error| EngineError::torch(model, error))?;
        Ok(Staged { rows: StagedRows::Dense(nchw), errors, placements })
    }

    pub(super) fn sample(&self, rows: usize) -> Result<Vec<Tensor>, String> {
        let (height, width, channels) = self.block();
        let shape = [rows, height, width, channels].map(|n| n as i64);
        let filled = memory::filled(&shape, |out: &mut [f32]| made_up(out));
        let nchw = filled.and_then(|(tensor, ())| tensor.f_permute([0, 3, 1, 2]));
        nchw.map(|tensor| vec![tensor]).map_err(|error| error.to_string())
    }

    fn prepare(&self, images: &ImageColumn, row: usize, limits: &ImageLimits, out: &mut [f32]) -> Result<Placement, ImageError> {
        match images {
            ImageColumn::Encoded(bytes) => prepare_encoded(bytes.value(row), &self.spec, limits, out),
            ImageColumn::Pixels(pixels) => {
                let p = pixels.value(row);
                let view = PixelView { height: p.height, width: p.width, channels: p.channels, data: p.data };
                prepare_pixels(&view, &self.spec, limits, out)
            }
        }
    }
}

//! A batch's tensors, from rows of the dataset: dense columns by copying rows, in the dtype that the package declares. All others
//! are prepared as in inference: images decoded and resized, texts tokenized and padded to the longest of the batch, clips
//! decoded.
//!
//! A training over pairs has all of the program's tensors twice: those of the rows, then those of their partners.
//!
//! Pictures that were prepared once are read back from disk (`image_cache`) before they are changed at random. If a clip is
//! longer than the package's window, only its first window is used.

use std::sync::Arc;

use flambeau_engine::package::{Dtype, InputKind};
use flambeau_engine::prepare::{Limits, Preparer, StagedRows, StopFlag};
use flambeau_engine::{EngineError, memory, pool};
use rayon::prelude::*;
use tch::{TchError, Tensor};

use super::augment;
use super::dataset::{Dense, MappedDataset, try_rows};
use super::image_cache::ImageCache;
use super::program::{PICTURE_RANK, Program};
use super::spec::{AugmentSpec, TrainingSpec};

/// The source of a tensor of the program.
enum Source {
    Dense(Dense),
    Prepared { column: usize, input: String, preparer: Preparer, is_image: bool, kept: Option<Arc<ImageCache>> },
}

/// See the module.
pub(super) struct InputPipeline {
    model: String,
    dataset: Arc<MappedDataset>,
    sources: Vec<Source>,
    /// How many of them make the program's tensors once.
    inputs: usize,
    augment: Option<AugmentSpec>,
    seed: u64,
    limits: Limits,
}

impl InputPipeline {
    pub(super) fn new(spec: &TrainingSpec, program: &Program, dataset: Arc<MappedDataset>) -> Result<Self, EngineError> {
        let model = program.name.clone();
        let mut wanted = preparers(spec, program)?;
        let inputs = wanted.len();
        if inputs != spec.inputs.len() || !(spec.pair_inputs.is_empty() || spec.pair_inputs.len() == inputs) {
            let text = format!("{model} takes {inputs} inputs, {} columns were given", spec.inputs.len().max(spec.pair_inputs.len()));
            return Err(EngineError::BadRequest(text));
        }
        if !spec.pair_inputs.is_empty() {
            wanted.extend(preparers(spec, program)?);
        }
        let mut sources = Vec::new();
        for ((input, preparer, is_image), column_name) in wanted.into_iter().zip(spec.inputs.iter().chain(&spec.pair_inputs)) {
            let (column, data_type) =
                dataset.column(column_name).ok_or_else(|| EngineError::BadRequest(format!("the dataset has no column '{column_name}'")))?;
            match (&preparer, dataset.dense(column)) {
                (Preparer::Tensor(tensor), Some(dense)) => {
                    let (dtype, shape) = tensor.row();
                    if (dense.dtype, dense.shape.as_slice()) != (dtype, shape) {
                        let text = format!(
                            "input '{input}' of {model} has shape {shape:?} and dtype {dtype:?}, column '{column_name}' {:?} and {:?}",
                            dense.shape, dense.dtype
                        );
                        return Err(EngineError::BadRequest(text));
                    }
                    sources.push(Source::Dense(dense));
                }
                _ => {
                    if data_type != arrow_schema::DataType::Null {
                        preparer.check_type(&data_type).map_err(|error| EngineError::Column { input: input.clone(), error })?;
                    }
                    let kept = image_cache(spec, &dataset, column, &preparer);
                    sources.push(Source::Prepared { column, input, preparer, is_image, kept });
                }
            }
        }
        let limits = Limits { images: spec.images, offsets: false, stop: StopFlag::default() };
        Ok(Self { model, dataset, sources, inputs, augment: spec.augment, seed: spec.seed, limits })
    }

    /// Whether making a batch takes long enough for a separate thread.
    pub(super) fn decodes(&self) -> bool {
        self.sources.iter().any(|source| matches!(source, Source::Prepared { .. }))
    }

    /// How many batches are in memory at a time: the next one too if it is made while this one is used.
    pub(super) fn batches_at_once(&self) -> u8 {
        if self.decodes() { 2 } else { 1 }
    }

    /// Maximum native bytes of a row of a batch, as far as they are known in advance.
    pub(super) fn row_bytes(&self) -> u64 {
        let one = |source: &Source| match source {
            Source::Dense(dense) => dense.row_bytes() as u64,
            Source::Prepared { preparer, .. } => preparer.row_bytes(),
        };
        self.sources.iter().map(one).sum()
    }

    /// The program's tensors for these rows, and for their partners if there are pairs: for training in `epoch` or, if None, for evaluation.
    pub(super) fn tensors(&self, rows: &[u32], epoch: Option<usize>) -> Result<Vec<Tensor>, EngineError> {
        let each = self.sources.chunks(self.inputs.max(1)).map(|sources| self.tensors_once(sources, rows, epoch));
        each.collect::<Result<Vec<_>, _>>().map(|all| all.into_iter().flatten().collect())
    }

    fn tensors_once(&self, sources: &[Source], rows: &[u32], epoch: Option<usize>) -> Result<Vec<Tensor>, EngineError> {
        let mut staged = Vec::new();
        for source in sources {
            staged.push(match source {
                Source::Dense(dense) => {
                    let tensor = dense.gather(rows);
                    let laid_out = if dense.shape.len() == PICTURE_RANK { tensor.and_then(|t| channels_last(&t)) } else { tensor };
                    StagedRows::Dense(laid_out.map_err(|error| EngineError::torch(&self.model, error))?)
                }
                Source::Prepared { column, input, preparer, is_image, kept } => {
                    let staged = match kept {
                        Some(kept) => self.stage_kept(*column, input, preparer, kept, rows)?,
                        None => self.stage(*column, input, preparer, rows)?,
                    };
                    match (&self.augment, epoch, &staged) {
                        (Some(spec), Some(epoch), StagedRows::Dense(images)) if *is_image => {
                            let ids: Vec<i64> = rows.iter().map(|row| self.dataset.rows.id(*row as usize)).collect();
                            let changed = augment::apply(spec, images, &ids, self.seed, epoch);
                            StagedRows::Dense(changed.map_err(|error| EngineError::torch(&self.model, error))?)
                        }
                        _ => staged,
                    }
                }
            });
        }
        self.assemble(sources, rows, &staged)
    }

    fn stage(&self, column: usize, input: &str, preparer: &Preparer, rows: &[u32]) -> Result<StagedRows, EngineError> {
        let array = self.dataset.take(column, rows)?;
        let all: Vec<usize> = (0..rows.len()).collect();
        let second = preparer.second().and_then(|input| self.column_of(input)).map(|column| self.dataset.take(column, rows)).transpose()?;
        let (staged, mut errors) = try_rows(&self.model, preparer, (&array, second.as_ref()), &all, &self.limits)?;
        if errors.is_empty() {
            return Ok(staged);
        }
        // The id shows where the row came from; its position in a batch does not.
        let (position, error) = errors.remove(0);
        let row = usize::try_from(self.dataset.rows.id(rows[position] as usize)).unwrap_or(usize::MAX);
        Err(EngineError::BadInput { row, input: input.to_owned(), error })
    }

    /// The column of an input that is prepared, by its position.
    fn column_of(&self, input: usize) -> Option<usize> {
        match self.sources.get(input) {
            Some(Source::Prepared { column, .. }) => Some(*column),
            _ => None,
        }
    }

    /// The same for pictures; those on disk are read back.
    fn stage_kept(
        &self,
        column: usize,
        input: &str,
        preparer: &Preparer,
        kept: &ImageCache,
        rows: &[u32],
    ) -> Result<StagedRows, EngineError> {
        let lacking: Vec<u32> = rows.iter().copied().filter(|row| !kept.has(*row)).collect();
        let decoded = if lacking.is_empty() {
            None
        } else {
            match self.stage(column, input, preparer, &lacking)? {
                StagedRows::Dense(pictures) => {
                    Some(pictures.f_permute([0, 2, 3, 1]).map_err(|error| EngineError::torch(&self.model, error))?)
                }
                other => return Ok(other),
            }
        };
        let fresh = decoded.as_ref().and_then(memory::values::<f32>).unwrap_or(&[]);
        let Preparer::Image(image) = preparer else { return Err(EngineError::Internal("only pictures are kept".into())) };
        let (height, width, channels) = image.block();
        let block = (height * width * channels).max(1);
        if let Some(all) = decoded.as_ref().filter(|_| lacking.len() == rows.len()) {
            pool::install(|| fresh.par_chunks_exact(block).zip(rows).for_each(|(values, row)| kept.keep(*row, values)));
            return all.f_permute([0, 3, 1, 2]).map(StagedRows::Dense).map_err(|error| EngineError::torch(&self.model, error));
        }
        // Where each row's new values are, if it has any.
        let mut next = fresh.chunks_exact(block);
        let places: Vec<(u32, Option<&[f32]>)> =
            rows.iter().map(|row| (*row, if lacking.contains(row) { next.next() } else { None })).collect();
        let shape = [rows.len(), height, width, channels].map(|n| n as i64);
        let (tensor, whole) = memory::filled(&shape, |out: &mut [f32]| {
            let one = |(out, (row, fresh)): (&mut [f32], &(u32, Option<&[f32]>))| match fresh {
                Some(values) => {
                    kept.keep(*row, values);
                    out.copy_from_slice(values);
                    true
                }
                None => kept.read(*row, out),
            };
            pool::install(|| out.par_chunks_mut(block).zip(&places).map(one).reduce(|| true, |a, b| a && b))
        })
        .map_err(|error| EngineError::torch(&self.model, error))?;
        if !whole {
            // The file cannot be read any more.
            return self.stage(column, input, preparer, rows);
        }
        tensor.f_permute([0, 3, 1, 2]).map(StagedRows::Dense).map_err(|error| EngineError::torch(&self.model, error))
    }

    fn assemble(&self, sources: &[Source], rows: &[u32], staged: &[StagedRows]) -> Result<Vec<Tensor>, EngineError> {
        let mut length = 0;
        let mut units_of = Vec::new();
        for rows_of in staged {
            let units: Vec<usize> = match rows_of {
                StagedRows::Clips { items, .. } => items.iter().map(|range| range.start).collect(),
                _ => (0..rows.len()).collect(),
            };
            if let Some(lengths) = rows_of.lengths() {
                length = units.iter().map(|unit| lengths.get(*unit).copied().unwrap_or(0)).fold(length, usize::max);
            }
            units_of.push(units);
        }
        let mut tensors = Vec::new();
        for ((source, rows_of), units) in sources.iter().zip(staged).zip(units_of) {
            match (source, rows_of) {
                (Source::Dense(_), StagedRows::Dense(tensor)) => tensors.push(tensor.shallow_clone()),
                (Source::Dense(_), _) => return Err(EngineError::Internal("a dense column became something else".into())),
                (Source::Prepared { preparer, .. }, _) => tensors.extend(preparer.assemble(&self.model, rows_of, &units, length)?),
            }
        }
        Ok(tensors)
    }
}

/// What prepares each input of the program: its name, and whether it takes images.
fn preparers(spec: &TrainingSpec, program: &Program) -> Result<Vec<(String, Preparer, bool)>, EngineError> {
    match (&program.package, &spec.program.head) {
        (Some(package), _) => {
            let one = |input: &flambeau_engine::package::Input| {
                let preparer = Preparer::new(package, input)?;
                Ok((input.name.clone(), preparer, input.kind == InputKind::Image))
            };
            package.descriptor.inputs.iter().map(one).collect()
        }
        (None, Some(head)) => Ok(vec![("features".into(), Preparer::numbers(Dtype::F32, vec![head.inputs]), false)]),
        (None, None) => Ok(Vec::new()),
    }
}

/// Where pictures are kept, if training uses them more than once.
fn image_cache(spec: &TrainingSpec, dataset: &Arc<MappedDataset>, column: usize, preparer: &Preparer) -> Option<Arc<ImageCache>> {
    let Preparer::Image(image) = preparer else { return None };
    if spec.epochs < 2 {
        return None;
    }
    let (height, width, channels) = image.block();
    dataset.pictures(column, image.made(), |directory, rows| ImageCache::open(directory, rows, height * width * channels, image.tables()))
}

/// The same `[n, c, h, w]` with channels last in memory.
fn channels_last(tensor: &Tensor) -> Result<Tensor, TchError> {
    tensor.f_permute([0, 2, 3, 1])?.f_contiguous()?.f_permute([0, 3, 1, 2])
}

//! From columns to the program's tensors.
//!
//! Preparation has two steps. *Staging* prepares every row of a column that is not NULL, on the decode pool: images are decoded into
//! one big tensor, texts tokenized, clips decoded, numbers gathered. A row that cannot be staged is a row error.
//! *Assembling* then makes the tensors of one forward pass from a selection of staged rows. Between the two the session plans
//! passes, by length if rows have lengths.
//!
//! The pure functions (no libtorch, no Arrow) are in `flambeau-media`; the files here connect them to columns and tensors.

mod audio_input;
mod guard;
mod image_input;
mod spares;
mod staged;
mod tensor_input;
mod text_input;

use arrow_array::ArrayRef;
use arrow_schema::DataType;
use flambeau_columns::ColumnError;
use flambeau_media::image::ImageLimits;

pub use guard::StopFlag;
pub use image_input::ImagePreparer;
pub use staged::{Staged, StagedRows};
pub use tensor_input::TensorPreparer;

use crate::package::{Dtype, Input, InputKind};
use crate::{EngineError, Package};

/// What a session sets for all rows.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Of one image.
    pub images: ImageLimits,
    /// Whether token rows keep where their tokens are in the text.
    pub offsets: bool,
    /// Set when rows are not needed any more.
    pub stop: StopFlag,
}

/// How one input's rows become tensors. Immutable; belongs to the model.
#[derive(Debug)]
pub enum Preparer {
    /// Pictures, encoded or raw.
    Image(ImagePreparer),
    /// Strings.
    Text(Box<text_input::TextInputPreparer>),
    /// The second strings of pairs, which the preparer of the first ones reads.
    SecondText,
    /// Encoded sounds.
    Audio(audio_input::AudioInputPreparer),
    /// Numbers.
    Tensor(TensorPreparer),
}

impl Preparer {
    /// For an input of a package.
    ///
    /// # Errors
    /// A tokenizer that cannot be used, or a table that contradicts itself.
    pub fn new(package: &Package, input: &Input) -> Result<Self, EngineError> {
        let missing = || EngineError::Internal(format!("input '{}' lost its table", input.name));
        Ok(match input.kind {
            InputKind::Image => Self::Image(ImagePreparer::new(input.image.clone().ok_or_else(missing)?)),
            InputKind::Text => {
                let spec = input.text.as_ref().ok_or_else(missing)?;
                if spec.pair_of.is_some() {
                    return Ok(Self::SecondText);
                }
                let pair = package.descriptor.second_of(&input.name);
                Self::Text(Box::new(text_input::TextInputPreparer::open(package, spec, pair)?))
            }
            InputKind::Audio => {
                let spec = input.audio.clone().ok_or_else(missing)?;
                Self::Audio(audio_input::AudioInputPreparer::new(&package.descriptor.name, spec)?)
            }
            InputKind::Tensor => Self::Tensor(TensorPreparer::new(input.dtype, input.shape.clone()).within(input.min, input.max)),
        })
    }

    /// For rows of numbers of this type and shape.
    #[must_use]
    pub fn numbers(dtype: Dtype, shape: Vec<usize>) -> Self {
        Self::Tensor(TensorPreparer::new(dtype, shape))
    }

    /// Which input has the second text of this one's pairs.
    #[must_use]
    pub fn second(&self) -> Option<usize> {
        match self {
            Self::Text(text) => text.pair,
            _ => None,
        }
    }

    /// Whether its rows are texts that are padded at their beginning.
    pub(crate) fn pads_left(&self) -> bool {
        matches!(self, Self::Text(text) if text.pads_left())
    }

    /// Whether its rows are images of one size.
    pub(crate) fn is_image(&self) -> bool {
        matches!(self, Self::Image(_))
    }

    /// The result of [`Self::assemble`] for `rows` rows of generated content, with the same layout. Texts and sounds have one length.
    ///
    /// # Errors
    /// Why there is no such content.
    pub(crate) fn sample(&self, rows: usize) -> Result<Vec<tch::Tensor>, String> {
        match self {
            Self::Image(image) => image.sample(rows),
            Self::Text(text) => text.sample(rows),
            Self::SecondText => Ok(Vec::new()),
            Self::Audio(audio) => audio.sample(rows),
            Self::Tensor(tensor) => tensor.sample(rows),
        }
    }

    /// How many tensors of the program this input gives.
    pub(crate) fn tensors(&self) -> usize {
        match self {
            Self::Image(_) | Self::Tensor(_) => 1,
            Self::Text(text) => text.tensors(),
            Self::SecondText => 0,
            Self::Audio(audio) => audio.tensors(),
        }
    }

    /// Whether a column of this type can be read.
    ///
    /// # Errors
    /// It cannot.
    pub fn check_type(&self, data_type: &DataType) -> Result<(), ColumnError> {
        let empty = || arrow_array::new_empty_array(data_type);
        match self {
            Self::Image(_) => flambeau_columns::ImageColumn::try_new(&empty()).map(drop),
            Self::Text(_) | Self::SecondText => flambeau_columns::TextColumn::try_new(&empty()).map(drop),
            Self::Audio(_) => flambeau_columns::BytesColumn::try_new(&empty()).map(drop),
            Self::Tensor(tensor) => flambeau_columns::dense::check_type(data_type, tensor.rank()),
        }
    }

    /// Whether some row of the column may count as NULL though its value is not.
    pub(crate) fn has_null_marks(&self, column: &ArrayRef) -> bool {
        matches!(self, Self::Image(_)) && matches!(column.data_type(), DataType::Struct(_))
    }

    /// Whether the row counts as NULL though its value is not (Spark's mark of an undecodable image).
    #[must_use]
    pub fn is_null_mark(&self, column: &ArrayRef, row: usize) -> bool {
        match self {
            Self::Image(_) => image_input::is_null_mark(column, row),
            _ => false,
        }
    }

    /// Stages `rows` of `column`, none of them NULL. `second`: the column of [`Preparer::second`]; without it, first texts alone.
    ///
    /// # Errors
    /// A column that cannot be read, or no memory; errors of single rows are in the result.
    pub fn stage(
        &self,
        model: &str,
        column: &ArrayRef,
        second: Option<&ArrayRef>,
        rows: &[usize],
        limits: &Limits,
    ) -> Result<Staged, EngineError> {
        match self {
            Self::Image(image) => image.stage(model, column, rows, limits),
            Self::Text(text) => text.stage(column, second, rows, limits),
            Self::SecondText => text_input::check_pair(column, rows, &limits.stop),
            Self::Audio(audio) => audio.stage(column, rows, &limits.stop),
            Self::Tensor(tensor) => tensor.stage(model, column, rows),
        }
    }

    /// The program's tensors for these items, in this order.
    ///
    /// # Errors
    /// libtorch has no memory for them.
    pub fn assemble(&self, model: &str, staged: &StagedRows, items: &[usize], length: usize) -> Result<Vec<tch::Tensor>, EngineError> {
        let tensors = match (self, staged) {
            (Self::SecondText, StagedRows::Elsewhere) => Ok(Vec::new()),
            (_, StagedRows::Dense(tensor)) => staged::select(tensor, items).map(|t| vec![t]),
            (Self::Text(text), StagedRows::Tokens(rows)) => text.assemble(rows, items, length),
            (Self::Audio(audio), StagedRows::Clips { clips, .. }) => audio.assemble(clips, items, length),
            _ => return Err(EngineError::Internal("rows were staged by another preparer".into())),
        };
        tensors.map_err(|error| EngineError::torch(model, error))
    }

    /// Maximum native bytes for staging and assembling one row, as far as they are known in advance.
    #[must_use]
    pub fn row_bytes(&self) -> u64 {
        match self {
            Self::Image(image) => image.row_bytes(),
            Self::Text(text) => text.row_bytes(),
            Self::SecondText => 0,
            Self::Audio(audio) => audio.row_bytes(),
            Self::Tensor(tensor) => tensor.row_bytes(),
        }
    }
}

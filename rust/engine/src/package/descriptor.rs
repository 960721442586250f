//! `model.toml`, format 1. Unknown keys are errors: a misspelled setting must not silently become the default.

use std::collections::BTreeMap;

use flambeau_media::audio::AudioSpec;
use flambeau_media::image::ImageSpec;
use flambeau_media::text::TextSpec;
use serde::{Deserialize, Serialize};

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Descriptor {
    /// 1.
    pub format: u32,
    /// The model's name in messages.
    pub name: String,
    /// SPDX expression of the weights.
    pub license: String,
    /// One line that people read.
    #[serde(default)]
    pub description: String,
    /// Whether its f32 TorchScript variant is unfrozen, so that training can start from it.
    #[serde(default)]
    pub trainable: bool,
    /// Rows of one batch; see [`Descriptor::batch_rows`].
    pub batch_rows: Option<usize>,
    /// What the program takes, in order.
    #[serde(rename = "input")]
    pub inputs: Vec<Input>,
    /// What the program returns, in order.
    #[serde(rename = "output")]
    pub outputs: Vec<Output>,
    /// The variants of the program, best first.
    #[serde(rename = "variant")]
    pub variants: Vec<Variant>,
    /// Every other file with its SHA-256.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

/// Of the scores for each pixel of a batch.
const MOST_BYTES_OF_MAPS: usize = 256 << 20;

impl Descriptor {
    /// Rows of one batch: the package's own number, otherwise one by the kind of its inputs. Texts and clips come in more
    /// rows than one forward pass takes, so that passes can be cut by length. Outputs with scores for each pixel are large, and those of a
    /// whole batch are in memory.
    #[must_use]
    pub fn batch_rows(&self) -> usize {
        let of_kind = |kind| match kind {
            InputKind::Image => 32,
            InputKind::Text => 1024,
            InputKind::Audio => 16,
            InputKind::Tensor => 4096,
        };
        let row_bytes = |output: &Output| output.row_len().saturating_mul(output.dtype.bytes()).max(1);
        let maps = self.outputs.iter().filter(|output| output.role == Role::PixelScores);
        let of_maps = maps.map(|output| (MOST_BYTES_OF_MAPS / row_bytes(output)).max(1));
        self.batch_rows.unwrap_or_else(|| self.inputs.iter().map(|i| of_kind(i.kind)).chain(of_maps).min().unwrap_or(1))
    }

    /// Which input is the second text of pairs with this one.
    #[must_use]
    pub fn second_of(&self, input: &str) -> Option<usize> {
        self.inputs.iter().position(|other| other.text.as_ref().is_some_and(|text| text.pair_of.as_deref() == Some(input)))
    }
}

/// How the rows of an input become tensors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InputKind {
    /// Encoded images or Spark's image struct.
    Image,
    /// Strings.
    Text,
    /// Encoded sounds.
    Audio,
    /// Numbers and (nested) arrays of them.
    Tensor,
}

/// Element type of a tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "the names say it")]
pub enum Dtype {
    #[default]
    F32,
    F64,
    F16,
    Bf16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Dtype {
    /// Bytes of one value.
    #[must_use]
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::Bf16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// One input of the program.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Unique among the inputs.
    pub name: String,
    /// Which of the tables below applies.
    pub kind: InputKind,
    /// Of a tensor; f32 unless given.
    #[serde(default)]
    pub dtype: Dtype,
    /// Of a tensor: the shape of one row, [] for a scalar.
    #[serde(default)]
    pub shape: Vec<usize>,
    /// The least value of a tensor of whole numbers; none unless given.
    pub min: Option<i64>,
    /// The largest; none unless given. An embedding of n rows takes at most n - 1.
    pub max: Option<i64>,
    /// Of an image.
    pub image: Option<ImageSpec>,
    /// Of a text.
    pub text: Option<TextSpec>,
    /// Of a clip.
    pub audio: Option<AudioSpec>,
}

/// The role of an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// An embedding: `featurize` gives the first of these.
    Features,
    /// One score per class: `classify` reads the first of these; of pairs of texts with one score, `rerank`.
    Scores,
    /// One score per token, for each frame of a clip: `transcribe` decodes the first of these.
    Ctc,
    /// Four numbers for each of several boxes: `detect` gives the first of these in pixels of the picture.
    Boxes,
    /// For each box one score per class, or its only score.
    BoxScores,
    /// For each box the index of its class, if the scores do not say it.
    BoxClasses,
    /// For each class a map of scores, `[classes, height, width]`: `segment` gives the class of each pixel of the picture.
    PixelScores,
    /// One score per class for each token of a text: `entities` reads the first of these.
    TokenScores,
    /// How well each token fits as the first of the answer: `answer` reads the first of these.
    StartScores,
    /// The same for its last token.
    EndScores,
    /// Anything else: `infer` gives it.
    Other,
}

impl Role {
    /// As in `model.toml`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Features => "features",
            Self::Scores => "scores",
            Self::Ctc => "ctc",
            Self::Boxes => "boxes",
            Self::BoxScores => "box_scores",
            Self::BoxClasses => "box_classes",
            Self::PixelScores => "pixel_scores",
            Self::TokenScores => "token_scores",
            Self::StartScores => "start_scores",
            Self::EndScores => "end_scores",
            Self::Other => "other",
        }
    }
}

/// The function from scores to probabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Over all classes: exactly one is correct.
    #[default]
    Softmax,
    /// Each class by itself.
    Sigmoid,
    /// They are probabilities already.
    None,
}

/// One output of the program.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Output {
    /// Unique among the outputs; the key if the program returns a dict.
    pub name: String,
    /// What it means.
    pub role: Role,
    /// Shape of one row, [] for a scalar; with `lengths`, of one of its items.
    pub shape: Vec<usize>,
    /// Another output, of whole numbers and shape []: how many items of this one belong to the row. The program then gives
    /// `[rows, longest, *shape]`, and a row's value is a list of as many items as its own length says.
    pub lengths: Option<String>,
    /// f32 unless given.
    #[serde(default)]
    pub dtype: Dtype,
    /// File with one label a line.
    pub labels: Option<String>,
    /// Of scores and box_scores; softmax unless given.
    #[serde(default)]
    pub activation: Activation,
    /// Of the role ctc.
    pub ctc: Option<CtcSpec>,
    /// Of the role boxes.
    pub boxes: Option<BoxSpec>,
    /// Of box_scores: the last class means that there is no object.
    #[serde(default)]
    pub no_object: bool,
}

/// The `[output.boxes]` table: what the four numbers of a box are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BoxSpec {
    /// Their order.
    pub format: BoxFormat,
    /// What they are measured in.
    pub unit: BoxUnit,
}

/// The order of a box's numbers, by torchvision's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxFormat {
    /// Left, top, right, bottom.
    Xyxy,
    /// Center, width, height.
    Cxcywh,
}

/// What a box is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BoxUnit {
    /// 0 to 1 of the prepared image.
    Relative,
    /// Pixels of the prepared image.
    Pixels,
}

/// The `[output.ctc]` table: how the best tokens of frames become a text. The names are those of transformers.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CtcSpec {
    /// The label of the blank.
    pub pad_token: String,
    /// The label between two words. Absent: a transcript is one word.
    pub word_delimiter_token: Option<String>,
    /// Seconds from the start of a frame to the start of the next.
    pub frame_seconds: f64,
}

impl Output {
    /// Elements of one row; of one item if rows differ in length.
    #[must_use]
    pub fn row_len(&self) -> usize {
        self.shape.iter().product()
    }

    /// How many classes it scores; none if it does not score classes.
    #[must_use]
    pub fn classes(&self) -> Option<usize> {
        match self.role {
            Role::Scores | Role::Ctc | Role::TokenScores => Some(self.row_len()),
            Role::PixelScores => self.shape.first().copied(),
            Role::BoxScores => self.shape.get(self.shape_of_boxes()).map(|classes| classes.saturating_sub(usize::from(self.no_object))),
            Role::Features | Role::Boxes | Role::BoxClasses | Role::StartScores | Role::EndScores | Role::Other => None,
        }
    }

    /// Dimensions of `shape` that count boxes: their number, unless rows differ in it.
    #[must_use]
    pub fn shape_of_boxes(&self) -> usize {
        usize::from(self.lengths.is_none())
    }
}

/// Which runtime a program is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EngineKind {
    /// `torch.jit.save`.
    Torchscript,
    /// `torch._inductor.aoti_compile_and_package`.
    AotInductor,
}

/// One form of the program.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variant {
    /// Name in the package's folder.
    pub file: String,
    /// Its runtime.
    pub engine: EngineKind,
    /// f32, or a reduced one.
    pub precision: String,
    /// Of the file, in hexadecimal.
    pub sha256: String,
    /// Processor features that it needs, by Linux's names.
    #[serde(default)]
    pub requires: Vec<String>,
    /// The one version of libtorch that compiled code runs with; any unless given.
    pub libtorch: Option<String>,
    /// Least cosine against the f32 variant, measured when it was made.
    pub cosine: Option<f64>,
    /// A program that runs after this one: the one that a fit trained on its features.
    pub head: Option<HeadProgram>,
}

impl Variant {
    /// Its files, for messages.
    pub(crate) fn programs(&self) -> String {
        self.head.as_ref().map_or(self.file.clone(), |head| format!("{} followed by {}", self.file, head.file))
    }
}

/// A second TorchScript program. It takes one output of the first (flattened to `[rows, features]`) and computes the package's outputs.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HeadProgram {
    /// Name in the package's folder.
    pub file: String,
    /// Of the file, in hexadecimal.
    pub sha256: String,
    /// Name of the output that it takes, for programs that return a dict.
    pub reads: String,
    /// Place of that output, for programs that return several.
    #[serde(default)]
    pub index: usize,
}

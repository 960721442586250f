//! Text preparation: strings in, token ids and length-sorted batches out.
//!
//! A package of kind `text` contains a Hugging Face `tokenizer.json`, which defines how a string becomes tokens: normalizing,
//! lower case, the vocabulary, special tokens. The package's `[input.text]` table ([`TextSpec`]) only defines how long a row may
//! be and which tensors the program takes.
//!
//! There are three steps, which only share plain values:
//!
//! 1. [`TextPreparer::encode`] turns one string into a [`TokenRow`], [`TextPreparer::encode_row`] also a pair of strings. It takes `&self` and keeps no state, so the
//!    engine's decode threads call it in parallel on rows of one batch.
//! 2. [`plan_batches`] groups rows of near equal length under a budget of rows and padded tokens. It only uses lengths, so audio
//!    uses it too, with samples instead of tokens.
//! 3. [`TextPreparer::fill`] writes one program tensor of a [`Bucket`], padding as the tokenizer declares.
//!
//! Ownership: a [`TextPreparer`] belongs to the loaded model (one per process); rows belong to the batch that is being
//! prepared. Nothing here knows of tensors, Arrow or the JVM.

mod buckets;
mod checks;
mod error;
mod offsets;
mod preparer;
mod spec;
mod stages;

pub use buckets::{Bucket, plan_batches};
pub use error::TextError;
pub use offsets::{TokenOffsets, characters};
pub use preparer::{TextPreparer, TokenRow, utf8};
pub use spec::{TextInput, TextSpec, Truncation};

/// A tokenizer file's contents; its rules run within limits.
type Tokenizer = tokenizers::TokenizerImpl<
    tokenizers::ModelWrapper,
    stages::Normalizers,
    stages::PreTokenizers,
    tokenizers::PostProcessorWrapper,
    tokenizers::DecoderWrapper,
>;

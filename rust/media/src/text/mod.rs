//! Text preparation: strings in, token ids and length-sorted batches out.
//!
//! A package of kind `text` carries a Hugging Face `tokenizer.json`, which says everything about how a string becomes
//! tokens: normalizing, lower case, the vocabulary, special tokens. Only two things are left to the package's
//! `[input.text]` table ([`TextSpec`]): how long a row may be and which tensors the program takes.
//!
//! The work is split in three steps that share nothing but plain values:
//!
//! 1. [`TextPreparer::encode`] turns one string into a [`TokenRow`]. It takes `&self` and keeps no state, so the
//!    engine's decode threads call it side by side on rows of one batch.
//! 2. [`plan_batches`] groups rows of near equal length under a budget of rows and padded tokens. It looks at lengths
//!    only, so audio uses it too, with samples in place of tokens.
//! 3. [`TextPreparer::fill`] writes one program tensor of a [`Bucket`], padding as the tokenizer declares.
//!
//! Ownership: a [`TextPreparer`] belongs to the loaded model (one per process); rows belong to the batch that is being
//! prepared. Nothing here knows of tensors, Arrow or the JVM.

mod buckets;
mod checks;
mod error;
mod preparer;
mod spec;
mod stages;

pub use buckets::{Bucket, plan_batches};
pub use error::TextError;
pub use preparer::{TextPreparer, TokenRow};
pub use spec::{TextInput, TextSpec};

/// A tokenizer file's contents; its rules run within bounds.
type Tokenizer = tokenizers::TokenizerImpl<
    tokenizers::ModelWrapper,
    stages::Normalizers,
    stages::PreTokenizers,
    tokenizers::PostProcessorWrapper,
    tokenizers::DecoderWrapper,
>;

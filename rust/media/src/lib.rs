//! Pictures, texts and sounds as plain numbers. No libtorch, no Arrow, no JVM, so that all of it can be tested, fuzzed and
//! measured alone.
//!
//! - [`image`]: encoded bytes or raw pixels into one normalized block of `f32`, with Pillow's numbers;
//! - [`text`]: strings into token ids, and rows of near equal length into batches, with the numbers of Hugging Face's tokenizers;
//! - [`audio`]: encoded bytes into mono samples at the model's rate.
//!
//! Each has a spec (its table in `model.toml`), functions that any thread may call, and an error that names the cause. Damaged or
//! hostile rows are ordinary input: they give an error, never a panic, and never need more memory than their limits allow.
//!
//! Who owns what: a tokenizer belongs to the code that opened it. Except for one spare buffer per thread, nothing else outlives a call.

pub mod audio;
pub mod image;
pub mod text;

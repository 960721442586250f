//! What people store in tables, as plain numbers: pictures, texts and sounds. No libtorch, no Arrow, no JVM, so that all of it is
//! tested, damaged and timed alone.
//!
//! - [`image`]: encoded bytes or raw pixels into one normalized block of `f32`, with Pillow's numbers;
//! - [`text`]: strings into token ids, and rows of near equal length into batches, with the numbers of Hugging Face's tokenizers;
//! - [`audio`]: encoded bytes into mono samples at the model's rate.
//!
//! Each has a spec (its table in `model.toml`), functions that any thread may call, and an error that names the cause. Rows are
//! what users have, so damaged or hostile ones are ordinary input: they give an error, never a panic, and never more memory than
//! their limits allow.
//!
//! Who owns what: a tokenizer belongs to whoever opened it; nothing else outlives a call but one spare buffer for each thread.

pub mod audio;
pub mod image;
pub mod text;

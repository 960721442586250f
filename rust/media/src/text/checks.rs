//! Rejects tokenizer files that would cause errors in every row, when they are read.
//!
//! The library only checks the structure of the file. A post-processor may name a token that it does not define (a panic at the
//! first row), or repeat the text a thousand times. A model may take time that grows with the cube of a word's length. All of
//! this can be found in advance, or by trying two short texts.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::Value;
use tokenizers::{EncodeInput, ModelWrapper, PostProcessorWrapper};

use super::Tokenizer;
use super::stages::watch;

/// WordPiece tries every end of a word from every start.
const WORD_CHARS: usize = 1_000;

/// From every character of the text, Unigram tries as many as the longest piece has.
const PIECE_BYTES: usize = 1_024;

/// Maximum number of post-processors of a file, and how often they may repeat the text in total.
const MOST_PROCESSORS: usize = 256;
const MOST_REPEATS: usize = 16;

/// Maximum number of tokens of an empty text.
const MOST_SPECIAL_TOKENS: usize = 1 << 16;

/// Rejects a tokenizer that no row could use.
///
/// # Errors
/// The reason, in words.
pub(super) fn check(tokenizer: &Tokenizer, pairs: bool) -> Result<(), String> {
    check_model(tokenizer.get_model())?;
    if let Some(processor) = tokenizer.get_post_processor() {
        check_processor(processor)?;
    }
    for text in ["", "a"] {
        let input = if pairs { EncodeInput::Dual(text.into(), text.into()) } else { EncodeInput::Single(text.into()) };
        let encode = AssertUnwindSafe(|| watch(text.len(), || tokenizer.encode_fast(input, true)));
        let tokens = catch_unwind(encode).map_err(|panic| format!("it fails on the text {text:?}: {}", message(panic.as_ref())))?;
        match tokens {
            Ok(tokens) if tokens.get_ids().len() > MOST_SPECIAL_TOKENS => {
                return Err(format!("it makes {} tokens of the text {text:?}", tokens.get_ids().len()));
            }
            // An error here is an error of that text only: the vocabulary may lack a token for it.
            _ => {}
        }
    }
    Ok(())
}

fn check_model(model: &ModelWrapper) -> Result<(), String> {
    match model {
        ModelWrapper::WordPiece(model) if model.max_input_chars_per_word > WORD_CHARS => {
            let chars = model.max_input_chars_per_word;
            Err(format!("max_input_chars_per_word = {chars} is more than {WORD_CHARS}; the time for a word grows with the cube of it"))
        }
        ModelWrapper::Unigram(model) => match model.iter().map(|(piece, _)| piece.len()).max() {
            Some(bytes) if bytes > PIECE_BYTES => Err(format!("a piece of its vocabulary has {bytes} bytes, more than {PIECE_BYTES}")),
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

fn check_processor(processor: &PostProcessorWrapper) -> Result<(), String> {
    let value = serde_json::to_value(processor).map_err(|error| error.to_string())?;
    let (mut count, mut repeats) = (0usize, 1usize);
    count_processors(&value, &mut count, &mut repeats);
    if count > MOST_PROCESSORS {
        return Err(format!("{count} post-processors, more than {MOST_PROCESSORS}"));
    }
    if repeats > MOST_REPEATS {
        return Err(format!("its post-processor repeats the text {repeats} times, more than {MOST_REPEATS}"));
    }
    Ok(())
}

/// Counts post-processors, and multiplies how often templates take the text; of a pair, both texts.
fn count_processors(value: &Value, count: &mut usize, repeats: &mut usize) {
    *count += 1;
    if let Some(inner) = value["processors"].as_array() {
        inner.iter().for_each(|one| count_processors(one, count, repeats));
    }
    let times = |template: &Value| template.as_array().map_or(0, |all| all.iter().filter(|piece| piece.get("Sequence").is_some()).count());
    *repeats = repeats.saturating_mul(times(&value["single"]).max(times(&value["pair"]) / 2).max(1));
}

/// The message of a panic.
pub(super) fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}

//! The normalizers and pre-tokenizers of a `tokenizer.json`, with limits.
//!
//! A tokenizer file is data that people download, and its rules can make a short text very long: eight rules that replace one
//! character by sixteen make four billion out of one. So every rule is run separately here, after the length of its result is
//! computed. A text that would grow beyond [`STAGE_BYTES`] is an error of its row, before memory is allocated.
//!
//! The library ignores two kinds of errors: those of normalizers, and those of patterns that give up. A regular expression that
//! backtracks too often ends the search as if nothing more matched, and the tokens are wrong without an error. Patterns are
//! therefore matched here, and a stage that fails passes its error to [`watch`] and an empty text to the next stages.
//!
//! The rules are built when the file is read; then all threads share the stages. The error of a thread's current row is in a
//! thread-local variable, set and taken within one call.

use std::cell::{Cell, RefCell};

use fancy_regex::Regex;
use serde::{Deserialize, Deserializer};
use tokenizers::pattern::{Invert, Pattern};
use tokenizers::{
    NormalizedString, Normalizer, NormalizerWrapper, Offsets, PreTokenizedString, PreTokenizer, PreTokenizerWrapper, Result,
    SplitDelimiterBehavior,
};

use super::TextError;

/// Maximum bytes of a text between two stages. A text may have 16 MiB; normalization for a language stays below this.
pub(super) const STAGE_BYTES: usize = 24 << 20;

/// Maximum number of stages of a kind.
const MOST_STAGES: usize = 256;

/// Maximum bytes of the replacement of one character, if a table defines it.
const REPLACEMENT_BYTES: usize = 1 << 10;

/// Length of the pieces of text that are normalized to measure how much longer they become.
const SAMPLE_BYTES: usize = 64 << 10;

thread_local! {
    static ERROR: RefCell<Option<TextError>> = const { RefCell::new(None) };
    static TEXT_BYTES: Cell<usize> = const { Cell::new(0) };
}

/// Runs `tokenize` on a text of `text_bytes` and returns its result, or the error of a stage.
pub(super) fn watch<T>(text_bytes: usize, tokenize: impl FnOnce() -> Result<T>) -> std::result::Result<T, TextError> {
    TEXT_BYTES.set(text_bytes);
    ERROR.take();
    let result = tokenize();
    match ERROR.take() {
        Some(error) => Err(error),
        None => result.map_err(|error| TextError::Tokenizer(error.to_string())),
    }
}

fn grows() -> TextError {
    TextError::Grows { bytes: TEXT_BYTES.get(), limit: STAGE_BYTES }
}

/// The pattern of a rule, as in the file.
#[derive(Deserialize)]
enum Rule {
    String(String),
    Regex(String),
}

impl Rule {
    fn compile(&self) -> std::result::Result<Regex, fancy_regex::Error> {
        match self {
            Self::String(text) => Regex::new(&fancy_regex::escape(text)),
            Self::Regex(expression) => Regex::new(expression),
        }
    }
}

/// Finds matches as the library does, but reports a search that was given up.
struct Matches<'a>(&'a Regex);

impl Pattern for Matches<'_> {
    fn find_matches(&self, inside: &str) -> Result<Vec<(Offsets, bool)>> {
        let (mut pieces, mut last) = (Vec::new(), 0);
        for found in self.0.find_iter(inside) {
            let found = found.map_err(|error| format!("the pattern {} on {} bytes: {error}", self.0.as_str(), inside.len()))?;
            if last != found.start() {
                pieces.push(((last, found.start()), false));
            }
            pieces.push(((found.start(), found.end()), true));
            last = found.end();
        }
        if last != inside.len() || inside.is_empty() {
            pieces.push(((last, inside.len()), false));
        }
        Ok(pieces)
    }
}

/// All normalizers of a file, one after the other, whether or not they were written as sequences.
#[derive(Debug)]
pub(super) struct Normalizers(Vec<NormalizerStage>);

#[derive(Debug)]
enum NormalizerStage {
    Replace {
        pattern: Regex,
        content: String,
    },
    Library {
        normalizer: NormalizerWrapper,
        /// Maximum bytes that one byte becomes.
        factor: usize,
    },
}

impl<'de> Deserialize<'de> for Normalizers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut stages = Vec::new();
        flatten_normalizer(NormalizerWrapper::deserialize(deserializer)?, &mut stages).map_err(serde::de::Error::custom)?;
        check_count("normalizers", stages.len()).map_err(serde::de::Error::custom)?;
        Ok(Self(stages))
    }
}

fn flatten_normalizer(normalizer: NormalizerWrapper, stages: &mut Vec<NormalizerStage>) -> std::result::Result<(), String> {
    let factor = match &normalizer {
        NormalizerWrapper::Sequence(sequence) => {
            return sequence.as_ref().iter().try_for_each(|one| flatten_normalizer(one.clone(), stages));
        }
        NormalizerWrapper::Replace(replace) => {
            let pattern = rule(replace)?.compile().map_err(|error| error.to_string())?;
            stages.push(NormalizerStage::Replace { pattern, content: replace.content.clone() });
            return Ok(());
        }
        NormalizerWrapper::Precompiled(table) => longest_replacement(table)?,
        // U+FDFA, three bytes, is thirty-three without compatibility characters.
        NormalizerWrapper::NFKC(_) | NormalizerWrapper::NFKD(_) => 11,
        NormalizerWrapper::BertNormalizer(_) => 6,
        NormalizerWrapper::NFC(_) | NormalizerWrapper::NFD(_) => 4,
        NormalizerWrapper::ByteLevel(_) | NormalizerWrapper::Lowercase(_) => 2,
        NormalizerWrapper::Prepend(prepend) if prepend.prepend.len() > REPLACEMENT_BYTES => {
            return Err(format!("a normalizer prepends {} bytes, more than {REPLACEMENT_BYTES}", prepend.prepend.len()));
        }
        _ => 1,
    };
    stages.push(NormalizerStage::Library { normalizer, factor });
    Ok(())
}

/// The pattern that `rule` was made of; the library does not make it public.
fn rule(rule: &impl serde::Serialize) -> std::result::Result<Rule, String> {
    let value = serde_json::to_value(rule).map_err(|error| error.to_string())?;
    serde_json::from_value(value["pattern"].clone()).map_err(|error| error.to_string())
}

/// Bytes of the longest replacement in a table of SentencePiece: the replacements follow the tree, each ended by a zero.
fn longest_replacement(table: &impl serde::Serialize) -> std::result::Result<usize, String> {
    let value = serde_json::to_value(table).map_err(|error| error.to_string())?;
    let map = value["precompiled_charsmap"].as_str().and_then(|text| base64::decode(text).ok()).unwrap_or_default();
    let tree_bytes = map.first_chunk().map_or(0, |size| u32::from_le_bytes(*size) as usize);
    let longest = map.get(4 + tree_bytes..).unwrap_or(&map).split(|&byte| byte == 0).map(<[u8]>::len).max().unwrap_or(0);
    if longest > REPLACEMENT_BYTES {
        return Err(format!("a table replaces a character by {longest} bytes, more than {REPLACEMENT_BYTES}"));
    }
    Ok(longest.max(1))
}

fn check_count(what: &str, count: usize) -> std::result::Result<(), String> {
    if count > MOST_STAGES { Err(format!("{count} {what}, more than {MOST_STAGES}")) } else { Ok(()) }
}

impl Normalizers {
    /// Whether white space stays white space and no rule depends on text across it.
    pub(super) fn keep_words_apart(&self) -> bool {
        self.0.iter().all(|stage| {
            matches!(
                stage,
                NormalizerStage::Library { normalizer: NormalizerWrapper::BertNormalizer(_) | NormalizerWrapper::Lowercase(_), .. }
            )
        })
    }
}

impl Normalizer for Normalizers {
    fn normalize(&self, normalized: &mut NormalizedString) -> Result<()> {
        for stage in &self.0 {
            if let Err(error) = stage.run(normalized) {
                // The library does not check for errors of a normalizer.
                ERROR.replace(Some(error.clone()));
                *normalized = NormalizedString::from("");
                return Err(error.into());
            }
        }
        Ok(())
    }
}

impl NormalizerStage {
    fn run(&self, normalized: &mut NormalizedString) -> std::result::Result<(), TextError> {
        let refused = |error: Box<dyn std::error::Error + Send + Sync>| TextError::Tokenizer(error.to_string());
        match self {
            Self::Replace { pattern, content } => {
                check_replacement(normalized.get(), pattern, content.len())?;
                normalized.replace(Matches(pattern), content).map_err(refused)
            }
            Self::Library { normalizer, factor } => {
                if normalized.get().len().saturating_mul(*factor) > STAGE_BYTES {
                    check_sample_by_sample(normalized.get(), normalizer)?;
                }
                normalizer.normalize(normalized).map_err(refused)
            }
        }
    }
}

/// Rejects a replacement whose result would be too long.
fn check_replacement(text: &str, pattern: &Regex, content_bytes: usize) -> std::result::Result<(), TextError> {
    let at_most = (text.len() + 1).saturating_mul(content_bytes).saturating_add(text.len());
    if at_most <= STAGE_BYTES {
        return Ok(());
    }
    let mut bytes = text.len();
    for found in pattern.find_iter(text) {
        let Ok(found) = found else { return Ok(()) };
        bytes = (bytes + content_bytes).saturating_sub(found.end() - found.start());
        if bytes > STAGE_BYTES.saturating_add(text.len()) {
            break;
        }
    }
    if bytes > STAGE_BYTES { Err(grows()) } else { Ok(()) }
}

/// Normalizes piece by piece and only keeps the lengths.
fn check_sample_by_sample(text: &str, normalizer: &NormalizerWrapper) -> std::result::Result<(), TextError> {
    let (mut rest, mut bytes) = (text, 0);
    while !rest.is_empty() {
        let end = (SAMPLE_BYTES..rest.len()).find(|&at| rest.is_char_boundary(at)).unwrap_or(rest.len());
        let (piece, after) = rest.split_at(end);
        let mut piece = NormalizedString::from(piece);
        normalizer.normalize(&mut piece).map_err(|error| TextError::Tokenizer(error.to_string()))?;
        bytes += piece.get().len();
        if bytes > STAGE_BYTES {
            return Err(grows());
        }
        rest = after;
    }
    Ok(())
}

/// All pre-tokenizers of a file, one after the other.
#[derive(Debug)]
pub(super) struct PreTokenizers(Vec<PreTokenizerStage>);

#[derive(Debug)]
enum PreTokenizerStage {
    Split { pattern: Regex, behavior: SplitDelimiterBehavior, invert: bool },
    Library(PreTokenizerWrapper),
}

impl<'de> Deserialize<'de> for PreTokenizers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let mut stages = Vec::new();
        flatten_pre_tokenizer(PreTokenizerWrapper::deserialize(deserializer)?, &mut stages).map_err(serde::de::Error::custom)?;
        check_count("pre-tokenizers", stages.len()).map_err(serde::de::Error::custom)?;
        Ok(Self(stages))
    }
}

fn flatten_pre_tokenizer(one: PreTokenizerWrapper, stages: &mut Vec<PreTokenizerStage>) -> std::result::Result<(), String> {
    match one {
        PreTokenizerWrapper::Sequence(sequence) => sequence.into_iter().try_for_each(|one| flatten_pre_tokenizer(one, stages)),
        PreTokenizerWrapper::Split(split) => {
            let pattern = rule(&split)?.compile().map_err(|error| error.to_string())?;
            stages.push(PreTokenizerStage::Split { pattern, behavior: split.behavior, invert: split.invert });
            Ok(())
        }
        other => {
            stages.push(PreTokenizerStage::Library(other));
            Ok(())
        }
    }
}

impl PreTokenizers {
    /// Whether white space always separates tokens.
    pub(super) fn split_at_white_space(&self) -> bool {
        use PreTokenizerWrapper::{BertPreTokenizer, Whitespace, WhitespaceSplit};
        matches!(self.0.as_slice(), [PreTokenizerStage::Library(BertPreTokenizer(_) | Whitespace(_) | WhitespaceSplit(_))])
    }
}

impl PreTokenizer for PreTokenizers {
    fn pre_tokenize(&self, text: &mut PreTokenizedString) -> Result<()> {
        for stage in &self.0 {
            match stage {
                PreTokenizerStage::Split { pattern, behavior, invert: true } => {
                    text.split(|_, piece| piece.split(Invert(Matches(pattern)), *behavior))?;
                }
                PreTokenizerStage::Split { pattern, behavior, invert: false } => {
                    text.split(|_, piece| piece.split(Matches(pattern), *behavior))?;
                }
                PreTokenizerStage::Library(library) => {
                    let factor = match library {
                        PreTokenizerWrapper::ByteLevel(_) => 2,
                        PreTokenizerWrapper::Metaspace(_) => 3,
                        _ => 0,
                    };
                    if factor > 0 && bytes(text)?.saturating_mul(factor) > 2 * STAGE_BYTES {
                        ERROR.replace(Some(grows()));
                        return Err(grows().into());
                    }
                    library.pre_tokenize(text)?;
                }
            }
        }
        Ok(())
    }
}

/// Bytes of all pieces together.
fn bytes(text: &mut PreTokenizedString) -> Result<usize> {
    let sum = Cell::new(0);
    text.normalize(|piece| {
        sum.set(sum.get() + piece.get().len());
        Ok(())
    })?;
    Ok(sum.get())
}

#[cfg(test)]
mod damage;
#[cfg(test)]
mod tests;

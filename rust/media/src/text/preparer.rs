//! The tokenizer of one package and its results.
//!
//! A [`TextPreparer`] is made once per loaded model and shared by all threads; `encode` only reads it. Rows are tokenized
//! one by one: the engine's decode pool is the only parallelism (the tokenizer's own pool is never used). Padding is done per
//! batch, which knows its longest row.

use std::panic::catch_unwind;
use std::path::Path;

use tokenizers::{EncodeInput, PaddingDirection, PostProcessor, TruncationDirection, TruncationParams, TruncationStrategy};

use super::stages::{self, Normalizers, PreTokenizers};
use super::{Bucket, TextError, TextInput, TextSpec, TokenOffsets, Tokenizer, Truncation, checks};

/// Longest text that is tokenized as a whole; the tokenizer takes about 110 bytes of memory for each byte of it.
const WHOLE_TEXT_BYTES: usize = 16 << 20;

/// Lengths of prefixes of a longer text that are tried before the whole, if a prefix that fills the row cannot change the result.
const PREFIX_BYTES: [usize; 4] = [16 << 10, 128 << 10, 1 << 20, WHOLE_TEXT_BYTES];

/// One tokenized string or pair of strings: special tokens included, cut to the package's length, not padded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenRow {
    /// Vocabulary index of each token.
    pub ids: Vec<u32>,
    /// Segment of each token; as long as `ids`.
    pub type_ids: Vec<u32>,
    /// Where the tokens are in the text, if that was asked for.
    pub offsets: Option<Box<TokenOffsets>>,
}

impl TokenRow {
    /// Tokens of the row; 0 only when the tokenizer adds no special tokens and found none.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no token at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }
}

/// A loaded tokenizer with the package's truncation. `Send + Sync`.
#[derive(Debug)]
pub struct TextPreparer {
    tokenizer: Tokenizer,
    inputs: Vec<TextInput>,
    max_length: Option<usize>,
    pad_id: u32,
    pad_type_id: u32,
    pads_left: bool,
    prefix_suffices: bool,
}

impl TextPreparer {
    /// Loads `spec.tokenizer` from the package folder `directory`, for single texts.
    ///
    /// # Errors
    /// [`TextError::BadSpec`] for a contradictory table, [`TextError::BadTokenizer`] for a file that cannot be used.
    pub fn open(directory: &Path, spec: &TextSpec) -> Result<Self, TextError> {
        Self::load(directory, spec, false)
    }

    /// As [`TextPreparer::open`], for pairs of texts.
    ///
    /// # Errors
    /// As there.
    pub fn open_for_pairs(directory: &Path, spec: &TextSpec) -> Result<Self, TextError> {
        Self::load(directory, spec, true)
    }

    fn load(directory: &Path, spec: &TextSpec, pairs: bool) -> Result<Self, TextError> {
        spec.validate()?;
        let path = directory.join(&spec.tokenizer);
        let bad_file = |cause: String| TextError::BadTokenizer { path: path.display().to_string(), cause };
        let json = std::fs::read(&path).map_err(|error| bad_file(error.to_string()))?;
        let mut tokenizer = read(&json).map_err(bad_file)?;

        let padding = tokenizer.get_padding().cloned();
        tokenizer.with_padding(None);
        let truncation = match (tokenizer.get_truncation(), spec.max_length) {
            (Some(declared), Some(max_length)) => Some(TruncationParams { max_length, ..declared.clone() }),
            (Some(declared), None) => Some(declared.clone()),
            (None, Some(max_length)) => Some(TruncationParams { max_length, ..TruncationParams::default() }),
            (None, None) => None,
        };
        if let Some(params) = &truncation {
            // Checked here because the library subtracts the two without a check.
            let special = tokenizer.get_post_processor().map_or(0, |post| post.added_tokens(pairs));
            if params.max_length <= special || params.stride >= params.max_length - special {
                return Err(TextError::BadSpec(format!(
                    "max_length = {} leaves no room for text beside {special} special tokens and a stride of {}",
                    params.max_length, params.stride
                )));
            }
        }
        // The rest of a cut text is not used, so it need not be made: with a stride, the library repeats it in as many pieces as
        // it has tokens.
        let truncation = truncation.map(|params| TruncationParams { stride: 0, strategy: strategy(spec, &params), ..params });
        // The beginnings of two long texts may be cut in another place than the texts.
        let prefix_suffices = !pairs && prefix_suffices(&tokenizer, truncation.as_ref());
        let max_length = truncation.as_ref().map(|params| params.max_length);
        tokenizer.with_truncation(truncation).map_err(|error| bad_file(error.to_string()))?;
        checks::check(&tokenizer, pairs).map_err(bad_file)?;

        let pad_id = match &padding {
            Some(declared) => declared.pad_id,
            None => ["[PAD]", "<pad>"].iter().find_map(|token| tokenizer.token_to_id(token)).unwrap_or(0),
        };
        Ok(Self {
            tokenizer,
            inputs: spec.inputs.clone(),
            max_length,
            pad_id,
            pad_type_id: padding.as_ref().map_or(0, |declared| declared.pad_type_id),
            pads_left: padding.is_some_and(|declared| matches!(declared.direction, PaddingDirection::Left)),
            prefix_suffices,
        })
    }

    /// The tensors that the program takes, in order.
    #[must_use]
    pub fn inputs(&self) -> &[TextInput] {
        &self.inputs
    }

    /// Maximum number of tokens of a row, special tokens included; `None` if text is never cut.
    #[must_use]
    pub fn max_length(&self) -> Option<usize> {
        self.max_length
    }

    /// Tokens of `text`, special tokens included.
    ///
    /// # Errors
    /// [`TextError::Tokenizer`] if the tokenizer fails for the text, [`TextError::Grows`] if its rules make it too long,
    /// [`TextError::TooLong`] if it has more than 16 MiB and its beginning does not fill the row.
    pub fn encode(&self, text: &str) -> Result<TokenRow, TextError> {
        self.encode_single(text, false)
    }

    /// Tokens of bytes that should be UTF-8: of `text`, or of `text` and `pair` together. With `offsets`, also where the tokens are.
    ///
    /// # Errors
    /// [`TextError::NotUtf8`] with the place, or those of [`TextPreparer::encode`]. For a pair also [`TextError::Tokenizer`], if one text
    /// leaves no room for the one that may be cut.
    pub fn encode_row(&self, text: &[u8], pair: Option<&[u8]>, offsets: bool) -> Result<TokenRow, TextError> {
        let text = utf8(text)?;
        let Some(pair) = pair else { return self.encode_single(text, offsets) };
        let pair = utf8(pair)?;
        let bytes = text.len() + pair.len();
        if bytes > WHOLE_TEXT_BYTES {
            return Err(TextError::TooLong { bytes, limit: WHOLE_TEXT_BYTES });
        }
        self.encode_whole(EncodeInput::Dual(text.into(), pair.into()), bytes, offsets).map(|(row, _)| row)
    }

    /// Whether rows are padded at their beginning.
    #[must_use]
    pub fn pads_left(&self) -> bool {
        self.pads_left
    }

    fn encode_single(&self, text: &str, offsets: bool) -> Result<TokenRow, TextError> {
        let whole = |text: &str| self.encode_whole(EncodeInput::Single(text.into()), text.len(), offsets);
        if self.prefix_suffices {
            for piece in PREFIX_BYTES.into_iter().filter(|&piece| piece < text.len()) {
                let boundary = (0..=piece).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
                if let Some(end) = text[..boundary].rfind(separates) {
                    let (row, was_cut) = whole(&text[..end])?;
                    if was_cut {
                        return Ok(row);
                    }
                }
            }
        }
        if text.len() > WHOLE_TEXT_BYTES {
            return Err(TextError::TooLong { bytes: text.len(), limit: WHOLE_TEXT_BYTES });
        }
        whole(text).map(|(row, _)| row)
    }

    /// The values of one program tensor for a batch, row after row, `bucket.rows.len() × bucket.length` of them.
    /// The bucket's indices refer to `rows`.
    #[must_use]
    pub fn fill(&self, rows: &[TokenRow], bucket: &Bucket, input: TextInput) -> Vec<i64> {
        let padding = match input {
            TextInput::InputIds => i64::from(self.pad_id),
            TextInput::AttentionMask => 0,
            TextInput::TokenTypeIds => i64::from(self.pad_type_id),
        };
        let mut values = Vec::with_capacity(bucket.padded());
        for &row in &bucket.rows {
            let (row, start) = (&rows[row], values.len());
            let missing = bucket.length.saturating_sub(row.len());
            if self.pads_left {
                values.resize(start + missing, padding);
            }
            match input {
                TextInput::InputIds => values.extend(row.ids.iter().map(|&id| i64::from(id))),
                TextInput::AttentionMask => values.extend(row.ids.iter().map(|_| 1)),
                TextInput::TokenTypeIds => values.extend(row.type_ids.iter().map(|&id| i64::from(id))),
            }
            values.resize(start + bucket.length, padding);
        }
        values
    }

    /// The row, and whether tokens were cut off.
    fn encode_whole(&self, input: EncodeInput<'_>, bytes: usize, offsets: bool) -> Result<(TokenRow, bool), TextError> {
        let encode = || if offsets { self.tokenizer.encode_char_offsets(input, true) } else { self.tokenizer.encode_fast(input, true) };
        let encoding = stages::watch(bytes, encode)?;
        let was_cut = !encoding.get_overflowing().is_empty();
        let row = TokenRow {
            ids: encoding.get_ids().to_vec(),
            type_ids: encoding.get_type_ids().to_vec(),
            offsets: offsets.then(|| Box::new(TokenOffsets::of(&encoding))),
        };
        Ok((row, was_cut))
    }
}

/// Checks that the bytes of a row are a text.
///
/// # Errors
/// [`TextError::NotUtf8`] with the place.
pub fn utf8(bytes: &[u8]) -> Result<&str, TextError> {
    std::str::from_utf8(bytes).map_err(|error| TextError::NotUtf8 { offset: error.valid_up_to() })
}

/// The package's own strategy, or the file's.
fn strategy(spec: &TextSpec, declared: &TruncationParams) -> TruncationStrategy {
    match spec.truncation {
        Some(Truncation::LongestFirst) => TruncationStrategy::LongestFirst,
        Some(Truncation::OnlyFirst) => TruncationStrategy::OnlyFirst,
        Some(Truncation::OnlySecond) => TruncationStrategy::OnlySecond,
        None => declared.strategy,
    }
}

/// The tokenizer in a file; its added tokens are normalized as it is read.
fn read(json: &[u8]) -> Result<Tokenizer, String> {
    let read = || stages::watch(0, || serde_json::from_slice::<Tokenizer>(json).map_err(Into::into));
    // The library panics for rules that contradict each other.
    let read = catch_unwind(read).map_err(|panic| format!("its parts do not fit together: {}", checks::message(panic.as_ref())))?;
    read.map_err(|error| match error {
        TextError::Grows { limit, .. } => format!("an added token grows beyond {limit} bytes when it is normalized"),
        TextError::Tokenizer(cause) => cause,
        other => other.to_string(),
    })
}

/// Whether `character` always separates tokens: white space that the normalizers keep as white space.
fn separates(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\n' | '\r') || (character.is_whitespace() && !character.is_control())
}

/// Whether the first tokens of a long text are those of any prefix that ends at white space and fills the row. True if truncation
/// drops the end, white space always separates tokens, and neither the normalizer nor an added token depends on text across it.
/// Other tokenizers get the whole text.
fn prefix_suffices(tokenizer: &Tokenizer, truncation: Option<&TruncationParams>) -> bool {
    truncation.is_some_and(|params| params.direction == TruncationDirection::Right)
        && tokenizer.get_normalizer().is_none_or(Normalizers::keep_words_apart)
        && tokenizer.get_pre_tokenizer().is_some_and(PreTokenizers::split_at_white_space)
        && tokenizer.get_added_tokens_decoder().values().all(|token| !token.content.contains(char::is_whitespace))
}

#[cfg(test)]
mod tests;

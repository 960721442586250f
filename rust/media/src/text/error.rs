//! Why a tokenizer could not be used or a row could not be tokenized. Plain values: the engine decides whether a row's
//! error fails the query or becomes NULL.

/// An error of text preparation: of one row, except for [`TextError::BadTokenizer`] and [`TextError::BadSpec`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// The tokenizer file is missing, unreadable or not a `tokenizer.json`.
    #[error("cannot use the tokenizer {path}: {cause}")]
    BadTokenizer {
        /// The path of the file.
        path: String,
        /// The error.
        cause: String,
    },
    /// The `[input.text]` table contradicts itself or the tokenizer.
    #[error("bad [input.text]: {0}")]
    BadSpec(String),
    /// The bytes of the row are not UTF-8.
    #[error("text is not UTF-8: invalid byte at offset {offset}")]
    NotUtf8 {
        /// Offset of the first byte that is not part of a character.
        offset: usize,
    },
    /// The text is too long to be tokenized as a whole, and its beginning does not hold enough tokens to fill the row.
    #[error(
        "text of {bytes} bytes is too long to tokenize as a whole; the limit is {limit} bytes: pass a part of it, such as left(text, 1000000)"
    )]
    TooLong {
        /// Size of the text.
        bytes: usize,
        /// Largest size.
        limit: usize,
    },
    /// The tokenizer's rules make the text too long.
    #[error("text of {bytes} bytes grows beyond {limit} bytes by the rules of the tokenizer: pass a part of it")]
    Grows {
        /// Size of the text.
        bytes: usize,
        /// Largest size between two rules.
        limit: usize,
    },
    /// The tokenizer itself refused the row (for example: no unknown token in the vocabulary).
    #[error("text cannot be tokenized: {0}")]
    Tokenizer(String),
}

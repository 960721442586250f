//! Where the tokens of a row are in its text, for results that point into the text.
//!
//! Positions count characters, which are Unicode code points here: those of Python's strings and of Spark's `substring`.

use tokenizers::Encoding;

/// Places of all tokens of a row; each list is as long as the row.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenOffsets {
    /// Start and end of each token, in characters of its text.
    pub characters: Vec<(usize, usize)>,
    /// Which text it is of: 0, or 1 for the second of a pair. None for a token that the tokenizer adds.
    pub texts: Vec<Option<usize>>,
    /// Which word of its text it is a part of.
    pub words: Vec<Option<u32>>,
}

impl TokenOffsets {
    /// Of an encoding with offsets in characters.
    pub(super) fn of(encoding: &Encoding) -> Self {
        let texts = encoding.get_sequence_ids();
        let added = encoding.get_special_tokens_mask();
        Self {
            characters: encoding.get_offsets().to_vec(),
            texts: texts.into_iter().zip(added).map(|(text, added)| text.filter(|_| *added == 0)).collect(),
            words: encoding.get_word_ids().to_vec(),
        }
    }

    /// Start and end of the word that token `at` is a part of, in characters; of the token itself if it belongs to none.
    #[must_use]
    pub fn word(&self, at: usize) -> (usize, usize) {
        let (Some(word), text) = (self.words[at], self.texts[at]) else { return self.characters[at] };
        let same = |i: &usize| self.words[*i] == Some(word) && self.texts[*i] == text;
        let first = (0..self.words.len()).find(same).unwrap_or(at);
        let last = (0..self.words.len()).rev().find(same).unwrap_or(at);
        (self.characters[first].0, self.characters[last].1)
    }
}

/// The characters from `start` to `end` (exclusive) of `text`; what lies past its end is left out.
#[must_use]
pub fn characters(text: &str, start: usize, end: usize) -> &str {
    let byte = |character: usize| text.char_indices().nth(character).map_or(text.len(), |(at, _)| at);
    let (start, end) = (byte(start), byte(end));
    text.get(start..end).unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_are_code_points() {
        assert_eq!(characters("a\u{1f600}e\u{301}b", 1, 3), "\u{1f600}e");
        assert_eq!(characters("abc", 1, 99), "bc");
        assert_eq!(characters("abc", 3, 3), "");
        assert_eq!(characters("abc", 2, 1), "");
    }

    #[test]
    fn a_word_reaches_from_its_first_to_its_last_token() {
        let offsets = TokenOffsets {
            characters: vec![(0, 0), (0, 2), (2, 5), (6, 7), (0, 3)],
            texts: vec![None, Some(0), Some(0), Some(0), Some(1)],
            words: vec![None, Some(0), Some(0), Some(1), Some(0)],
        };
        assert_eq!([1, 2, 3, 4, 0].map(|at| offsets.word(at)), [(0, 5), (0, 5), (6, 7), (0, 3), (0, 0)]);
    }
}

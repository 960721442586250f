//! `transcribe`: scores of tokens by frame into a text and its words, by greedy CTC decoding.
//!
//! The best token of each frame is taken. Equal tokens next to each other are one, then blanks are dropped, and the delimiter ends a word.
//! This is what `Wav2Vec2CTCTokenizer.decode(..., output_word_offsets=True)` of transformers does.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array};
use tch::Kind;

use super::results::{Context, internal, lists, scalars, structs, texts as column};
use super::roles::find;
use crate::EngineError;
use crate::package::Role;

/// A word, with the frames from `start` to before `end`.
#[derive(Debug, PartialEq, Eq)]
struct Word {
    text: String,
    start: usize,
    end: usize,
}

/// The tokens of a model by index, and two that mean something.
struct Vocabulary<'a> {
    tokens: &'a [String],
    blank: &'a str,
    delimiter: Option<&'a str>,
}

impl Vocabulary<'_> {
    /// The text and the words of a clip from the best token of each frame. A token is known by its text.
    fn decode(&self, best: &[i64]) -> (String, Vec<Word>) {
        let token = |frame: usize| usize::try_from(best[frame]).ok().and_then(|id| self.tokens.get(id)).map_or("", String::as_str);
        let (mut text, mut words) = (String::new(), Vec::new());
        let mut open: Option<Word> = None;
        let mut start = 0;
        while start < best.len() {
            let this = token(start);
            let end = (start..best.len()).find(|frame| token(*frame) != this).unwrap_or(best.len());
            if self.delimiter == Some(this) {
                text.push(' ');
                words.extend(open.take());
            } else if this != self.blank {
                text.push_str(this);
                let word = open.get_or_insert_with(|| Word { text: String::new(), start, end });
                word.text.push_str(this);
                word.end = end;
            }
            start = end;
        }
        words.extend(open);
        (text.trim().to_owned(), words)
    }
}

/// struct(text, words: list of struct(word, start, end)), times in seconds: the first output with role ctc.
pub(super) fn transcripts(context: &Context) -> Result<ArrayRef, EngineError> {
    let (index, output) = find(context.package, Role::Ctc, "transcribe")?;
    let spec = output.ctc.as_ref().ok_or_else(|| internal("an output lost its table"))?;
    let vocabulary =
        Vocabulary { tokens: &context.package.labels[index], blank: &spec.pad_token, delimiter: spec.word_delimiter_token.as_deref() };
    let frames = context.lengths(index)?.unwrap_or_default();
    let best = best_tokens(context, index, &frames)?;
    let mut rest = best.as_slice();
    let of_rows = frames.iter().map(|frames| {
        let (own, others) = rest.split_at((*frames).min(rest.len()));
        rest = others;
        vocabulary.decode(own)
    });
    let (texts, words): (Vec<String>, Vec<Vec<Word>>) = of_rows.unzip();
    let rows = structs([("text", column(&texts)?), ("words", word_lists(&words, spec.frame_seconds)?)])?;
    scalars(&rows, context.present)
}

/// The index of the best token of each frame, rows one after another.
fn best_tokens(context: &Context, index: usize, frames: &[usize]) -> Result<Vec<i64>, EngineError> {
    let Some(scores) = context.outputs.get(index) else { return Ok(Vec::new()) };
    let best = scores.f_argmax(-1, false).map_err(|error| context.torch(error))?;
    context.items_of(&best, Some(frames), Kind::Int64)
}

fn word_lists(rows: &[Vec<Word>], frame_seconds: f64) -> Result<ArrayRef, EngineError> {
    let words = || rows.iter().flatten();
    let seconds =
        |frame: fn(&Word) -> usize| Arc::new(Float64Array::from_iter_values(words().map(|word| frame(word) as f64 * frame_seconds)));
    let own: Vec<&str> = words().map(|word| word.text.as_str()).collect();
    let items = structs([("word", column(&own)?), ("start", seconds(|word| word.start)), ("end", seconds(|word| word.end))])?;
    let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
    lists(items, &lengths, &vec![true; rows.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(best: &[i64]) -> (String, Vec<Word>) {
        let tokens: Vec<String> = ["<pad>", "|", "A", "B", "<unk>"].map(str::to_owned).to_vec();
        Vocabulary { tokens: &tokens, blank: "<pad>", delimiter: Some("|") }.decode(best)
    }

    fn word(text: &str, start: usize, end: usize) -> Word {
        Word { text: text.to_owned(), start, end }
    }

    #[test]
    fn repeated_tokens_are_one_unless_a_blank_is_between_them() {
        assert_eq!(decode(&[0, 2, 2, 0, 2, 3, 3, 0]), ("AAB".into(), vec![word("AAB", 1, 7)]));
    }

    #[test]
    fn delimiters_end_words_and_leave_no_space_at_the_ends() {
        assert_eq!(decode(&[1, 2, 0, 1, 1, 3, 1]), ("A B".into(), vec![word("A", 1, 2), word("B", 5, 6)]));
        assert_eq!(decode(&[2, 1, 0, 1, 4]).0, "A  <unk>");
    }

    #[test]
    fn silence_is_an_empty_text() {
        assert_eq!(decode(&[0, 0, 1, 0]), (String::new(), vec![]));
        assert_eq!(decode(&[]), (String::new(), vec![]));
    }

    #[test]
    fn without_a_delimiter_there_is_one_word() {
        let tokens: Vec<String> = ["_", "a"].map(str::to_owned).to_vec();
        let vocabulary = Vocabulary { tokens: &tokens, blank: "_", delimiter: None };
        assert_eq!(vocabulary.decode(&[1, 0, 1, 0]), ("aa".into(), vec![word("aa", 0, 3)]));
    }
}

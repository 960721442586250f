//! `answer`: the part of a context that answers a question, as transformers' question-answering pipeline chose it (4.57, the last release
//! that has it).
//!
//! The probability of a part is that of its first token times that of its last token. Each is a softmax over the tokens of the context. The
//! token that the tokenizer puts at the beginning counts too: it stands for no answer. A part has up to 15 tokens. The best
//! 12 parts are widened to whole words. Parts that then have the same text (in lower case) add up, and the best text is the answer.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array};
use flambeau_media::text::{TokenOffsets, characters};
use tch::Kind;

use super::results::{Context, indices, internal, scalars, structs, texts};
use super::roles;
use super::tokens::{self, Row, Tokens};
use crate::EngineError;

/// Maximum tokens of an answer.
const MOST_TOKENS: usize = 15;

/// How many parts may become the same answer.
const CANDIDATES: usize = 12;

/// Which text of the pair is the context.
const CONTEXT: usize = 1;

#[derive(Debug, Clone, PartialEq)]
struct Answer {
    text: String,
    score: f32,
    start: usize,
    end: usize,
}

/// struct(answer, score, start, end).
pub(super) fn answers(context: &Context) -> Result<ArrayRef, EngineError> {
    let (start, end) = roles::answer(context.package)?;
    let tokens = Tokens::of(context)?;
    let lengths = tokens::lengths(context, &tokens, start)?;
    if tokens::lengths(context, &tokens, end)? != lengths {
        return Err(internal("the scores of first and last tokens differ in length"));
    }
    let scores = |index| context.items::<f32>(index, Some(&lengths), Kind::Float);
    let (starts, ends) = if lengths.is_empty() { (Vec::new(), Vec::new()) } else { (scores(start)?, scores(end)?) };
    let (mut found, mut first) = (Vec::with_capacity(lengths.len()), 0);
    for (valid, length) in lengths.iter().enumerate() {
        let own = first..first + length;
        first = own.end;
        let (Some(starts), Some(ends)) = (starts.get(own.clone()), ends.get(own)) else { return Err(internal("tokens lack scores")) };
        found.push(best(starts, ends, &tokens.row(valid)?));
    }
    column(&found, context.present)
}

/// The best answer of a row; an empty one with score 0 if the context has no token.
fn best(starts: &[f32], ends: &[f32], row: &Row<'_>) -> Answer {
    let offsets = row.offsets;
    let (starts, ends) = (probabilities(starts, offsets), probabilities(ends, offsets));
    let in_context = |at: &usize| offsets.texts.get(*at) == Some(&Some(CONTEXT));
    let tokens: Vec<usize> = (0..starts.len().min(ends.len())).filter(in_context).collect();
    let mut parts: Vec<(f32, usize, usize)> = Vec::new();
    for &start in &tokens {
        parts.extend(
            tokens.iter().filter(|end| (start..start + MOST_TOKENS).contains(*end)).map(|&end| (starts[start] * ends[end], start, end)),
        );
    }
    parts.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut answers: Vec<(String, Answer)> = Vec::new();
    for (score, first, last) in parts.into_iter().take(CANDIDATES) {
        let (start, end) = place(offsets, first, last);
        let text = characters(row.text, start, end).to_owned();
        let key = text.to_lowercase();
        match answers.iter_mut().find(|(known, _)| *known == key) {
            Some((_, same)) => same.score += score,
            None => answers.push((key, Answer { text, score, start, end })),
        }
    }
    let none = Answer { text: String::new(), score: 0.0, start: 0, end: 0 };
    answers.into_iter().fold(none, |best, (_, answer)| if answer.score > best.score { answer } else { best })
}

/// Softmax over the tokens of the context and an added token at the beginning; 0 for the others and for that token.
fn probabilities(scores: &[f32], offsets: &TokenOffsets) -> Vec<f32> {
    let counts = |at: usize| match offsets.texts.get(at) {
        Some(Some(text)) => *text == CONTEXT,
        Some(None) => at == 0,
        None => false,
    };
    let largest = (0..scores.len()).filter(|at| counts(*at)).map(|at| scores[at]).fold(f32::NEG_INFINITY, f32::max);
    let mut powers: Vec<f32> =
        scores.iter().enumerate().map(|(at, score)| if counts(at) { (score - largest).exp() } else { 0.0 }).collect();
    let sum: f32 = powers.iter().sum();
    powers.iter_mut().for_each(|power| *power /= sum);
    if let Some(first) = powers.first_mut() {
        *first = 0.0;
    }
    powers
}

/// Start and end of a part in characters: of its words, if the tokenizer has words.
fn place(offsets: &TokenOffsets, first: usize, last: usize) -> (usize, usize) {
    if offsets.words[first].is_some() && offsets.words[last].is_some() {
        (offsets.word(first).0, offsets.word(last).1)
    } else {
        (offsets.characters[first].0, offsets.characters[last].1)
    }
}

/// `answers` are those of the valid rows.
fn column(answers: &[Answer], present: &[bool]) -> Result<ArrayRef, EngineError> {
    let own: Vec<&str> = answers.iter().map(|answer| answer.text.as_str()).collect();
    let rows = structs([
        ("answer", texts(&own)?),
        ("score", Arc::new(Float32Array::from_iter_values(answers.iter().map(|answer| answer.score)))),
        ("start", indices(answers.iter().map(|answer| answer.start))),
        ("end", indices(answers.iter().map(|answer| answer.end))),
    ])?;
    scalars(&rows, present)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An added token, a question of one token, another added token, then the words of the context.
    fn offsets(words: &[(usize, usize, u32)]) -> TokenOffsets {
        let mut offsets =
            TokenOffsets { characters: vec![(0, 0), (0, 3), (0, 0)], texts: vec![None, Some(0), None], words: vec![None, Some(0), None] };
        for (start, end, word) in words {
            offsets.characters.push((*start, *end));
            offsets.texts.push(Some(CONTEXT));
            offsets.words.push(Some(*word));
        }
        offsets
    }

    #[test]
    fn parts_of_words_add_up_to_the_word() {
        let text = "in Berlin";
        let offsets = offsets(&[(0, 2, 0), (3, 6, 1), (6, 9, 1)]);
        let row = Row { offsets: &offsets, text };
        let answer = best(&[0.0, 9.0, 9.0, 0.0, 2.0, 1.0], &[0.0, 9.0, 9.0, 0.0, 1.0, 2.0], &row);
        assert_eq!((answer.text.as_str(), answer.start, answer.end), ("Berlin", 3, 9));
        let sum = 2.0 + 1_f32.exp() + 2_f32.exp();
        let (one, two) = (1_f32.exp() / sum, 2_f32.exp() / sum);
        let expected = two * one + two * two + one * two;
        assert!((answer.score - expected).abs() < 1e-5, "{} {expected}", answer.score);
    }

    #[test]
    fn a_context_without_tokens_has_no_answer() {
        let offsets = offsets(&[]);
        let answer = best(&[1.0; 3], &[1.0; 3], &Row { offsets: &offsets, text: "" });
        assert_eq!(answer, Answer { text: String::new(), score: 0.0, start: 0, end: 0 });
    }
}

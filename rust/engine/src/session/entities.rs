//! `entities`: neighboring tokens of one label, as transformers' pipeline joins them with the aggregation "simple".
//!
//! Each token has the label with the greatest probability. Tokens that the tokenizer adds are left out. A token continues the entity before it
//! if it has the same label without the prefixes `B-` and `I-`, and does not begin with `B-`. An entity's score is the mean of its
//! tokens' probabilities. Entities labeled `O` are left out.

use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array};
use flambeau_media::text::{TokenOffsets, characters};

use super::results::{self, Context, activated, indices, internal, lists, own_items, structs, texts};
use super::roles::find;
use super::tokens::{self, Tokens};
use crate::EngineError;
use crate::package::Role;

/// The label of tokens that are in no entity.
const OUTSIDE: &str = "O";

/// A token of an entity: its probability, and its start and end in the text.
type Member = (f32, (usize, usize));

#[derive(Debug, PartialEq)]
struct Entity {
    label: String,
    score: f32,
    start: usize,
    end: usize,
}

/// list of struct(label, score, start, end, text).
pub(super) fn entities(context: &Context) -> Result<ArrayRef, EngineError> {
    let (index, output) = find(context.package, Role::TokenScores, "entities")?;
    let classes = output.row_len();
    let names = &context.package.labels[index];
    let label = |class| results::label(names, class);
    let tokens = Tokens::of(context)?;
    let lengths = tokens::lengths(context, &tokens, index)?;
    let probabilities = match context.outputs.get(index) {
        Some(scores) => {
            own_items(scores, &lengths).and_then(|own| activated(&own, output.activation)).map_err(|error| context.torch(error))?
        }
        None => Vec::new(),
    };
    let (mut found, mut counts) = (Vec::new(), Vec::with_capacity(lengths.len()));
    let mut rest = probabilities.as_slice();
    for (valid, length) in lengths.iter().enumerate() {
        let (own, after) = rest.split_at_checked(length * classes).ok_or_else(|| internal("tokens lack scores"))?;
        rest = after;
        let row = tokens.row(valid)?;
        let of_row = join(own, classes, row.offsets, label);
        counts.push(of_row.len());
        found.extend(of_row.into_iter().map(|entity| (entity, row.text)));
    }
    column(&found, &counts, context.present)
}

/// The entities of a row, in the order of the text.
fn join(probabilities: &[f32], classes: usize, offsets: &TokenOffsets, label: impl Fn(usize) -> String) -> Vec<Entity> {
    let mut groups: Vec<(String, Vec<Member>)> = Vec::new();
    let scored = probabilities.chunks(classes.max(1)).zip(offsets.characters.iter().zip(&offsets.texts));
    for (scores, (place, text)) in scored {
        if text.is_none() {
            continue;
        }
        let best = (0..scores.len()).fold(0, |best, class| if scores[class] > scores[best] { class } else { best });
        let name = label(best);
        let (begins, tag) = match (name.strip_prefix("B-"), name.strip_prefix("I-")) {
            (Some(tag), _) => (true, tag),
            (None, Some(tag)) => (false, tag),
            (None, None) => (false, name.as_str()),
        };
        match groups.last_mut() {
            Some((last, members)) if last == tag && !begins => members.push((scores[best], *place)),
            _ => groups.push((tag.to_owned(), vec![(scores[best], *place)])),
        }
    }
    let entity = |(label, members): (String, Vec<Member>)| Entity {
        score: members.iter().map(|(score, _)| score).sum::<f32>() / members.len() as f32,
        start: members.first().map_or(0, |(_, place)| place.0),
        end: members.last().map_or(0, |(_, place)| place.1),
        label,
    };
    groups.into_iter().filter(|(label, _)| label != OUTSIDE).map(entity).collect()
}

/// One list for each row of the batch; the valid rows have the next of `counts` entities.
fn column(entities: &[(Entity, &str)], counts: &[usize], present: &[bool]) -> Result<ArrayRef, EngineError> {
    let labels: Vec<&str> = entities.iter().map(|(entity, _)| entity.label.as_str()).collect();
    let own: Vec<&str> = entities.iter().map(|(entity, text)| characters(text, entity.start, entity.end)).collect();
    let items = structs([
        ("label", texts(&labels)?),
        ("score", Arc::new(Float32Array::from_iter_values(entities.iter().map(|(entity, _)| entity.score)))),
        ("start", indices(entities.iter().map(|(entity, _)| entity.start))),
        ("end", indices(entities.iter().map(|(entity, _)| entity.end))),
        ("text", texts(&own)?),
    ])?;
    lists(items, counts, present)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LABELS: [&str; 4] = ["O", "B-PER", "I-PER", "LOC"];

    /// Tokens of one character each, between two that were added; each with this class, and 0.7 or 0.9 in turn.
    fn joined(classes: &[usize]) -> Vec<(String, usize, usize)> {
        let n = classes.len();
        let mut offsets = TokenOffsets::default();
        let mut scores = Vec::new();
        for at in 0..n + 2 {
            let own = at > 0 && at <= n;
            offsets.characters.push(if own { (at - 1, at) } else { (0, 0) });
            offsets.texts.push(own.then_some(0));
            offsets.words.push(None);
            let class = if own { classes[at - 1] } else { 3 };
            scores.extend((0..LABELS.len()).map(|c| if c == class { 0.7 } else { 0.1 }));
        }
        let entities = join(&scores, LABELS.len(), &offsets, |class| LABELS[class].to_owned());
        assert!(entities.iter().all(|entity| (entity.score - 0.7).abs() < 1e-6));
        entities.into_iter().map(|entity| (entity.label, entity.start, entity.end)).collect()
    }

    #[test]
    fn neighbors_of_one_label_are_one_entity() {
        let named = |label: &str, start, end| (label.to_owned(), start, end);
        assert_eq!(joined(&[1, 2, 2, 0, 3, 3]), [named("PER", 0, 3), named("LOC", 4, 6)]);
        assert_eq!(joined(&[1, 1, 2]), [named("PER", 0, 1), named("PER", 1, 3)]);
        assert_eq!(joined(&[2, 2, 3]), [named("PER", 0, 2), named("LOC", 2, 3)]);
        assert_eq!(joined(&[0, 0]), []);
        assert_eq!(joined(&[]), []);
    }
}

//! Results for the tokens of a text, row by row: the numbers of each token, where it is, and the text itself.

use flambeau_columns::TextColumn;
use flambeau_media::text::{TokenOffsets, TokenRow};

use super::results::{Context, Source, internal};
use crate::EngineError;
use crate::prepare::StagedRows;

/// The token rows of a batch, and the column of texts that results are cut from.
pub(super) struct Tokens<'a> {
    source: &'a Source<'a>,
    rows: &'a [TokenRow],
    texts: TextColumn,
}

/// A row.
pub(super) struct Row<'a> {
    pub(super) offsets: &'a TokenOffsets,
    pub(super) text: &'a str,
}

impl<'a> Tokens<'a> {
    /// Of the model's text input; texts of its second text if it takes pairs.
    pub(super) fn of(context: &Context<'a>) -> Result<Self, EngineError> {
        let lost = || internal("the tokens of a batch are missing");
        let descriptor = &context.package.descriptor;
        let staged = &context.source.staged.staged;
        let at = staged.iter().position(|staged| matches!(staged.rows, StagedRows::Tokens(_))).ok_or_else(lost)?;
        let StagedRows::Tokens(rows) = &staged[at].rows else { return Err(lost()) };
        let column = descriptor.second_of(&descriptor.inputs[at].name).unwrap_or(at);
        let texts = TextColumn::try_new(context.source.batch.column(column)).map_err(|error| internal(&error.to_string()))?;
        Ok(Self { source: context.source, rows, texts })
    }

    /// The valid row at this position.
    pub(super) fn row(&self, valid: usize) -> Result<Row<'_>, EngineError> {
        let lost = || internal("the offsets of a row are missing");
        let position = *self.source.staged.valid.get(valid).ok_or_else(lost)?;
        let offsets = self.rows.get(position).and_then(|row| row.offsets.as_deref()).ok_or_else(lost)?;
        let bytes = self.texts.value(self.source.staged.present[position]);
        let text = std::str::from_utf8(bytes).map_err(|error| internal(&error.to_string()))?;
        Ok(Row { offsets, text })
    }
}

/// Items of each valid row in output `index`: as many as the row has tokens.
pub(super) fn lengths(context: &Context, tokens: &Tokens<'_>, index: usize) -> Result<Vec<usize>, EngineError> {
    if context.outputs.is_empty() {
        return Ok(Vec::new());
    }
    let lengths = context.lengths(index)?.ok_or_else(|| internal("an output of tokens has no lengths"))?;
    for (valid, length) in lengths.iter().enumerate() {
        let have = tokens.row(valid)?.offsets.characters.len();
        // A row without tokens is one token of padding.
        if have.max(1) != (*length).max(1) {
            let output = &context.package.descriptor.outputs[index].name;
            let cause = format!("output '{output}' has {length} items for a row of {have} tokens");
            return Err(EngineError::model(&context.package.descriptor.name, cause));
        }
    }
    Ok(lengths)
}

//! The `[input.text]` table of a package.

use std::path::{Component, Path};

use serde::{Deserialize, Serialize};

use super::TextError;

/// A tensor that a text program can take, `[rows, tokens]` of i64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TextInput {
    /// Index of each token in the vocabulary; padding has the tokenizer's padding id.
    InputIds,
    /// 1 for a token of the text, 0 for padding.
    AttentionMask,
    /// Segment of each token (0 for a single text).
    TokenTypeIds,
}

impl TextInput {
    /// The name in the package.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::InputIds => "input_ids",
            Self::AttentionMask => "attention_mask",
            Self::TokenTypeIds => "token_type_ids",
        }
    }
}

/// Which text of a pair is cut if both together have too many tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Truncation {
    /// The longer one, until both are equally long; then both.
    LongestFirst,
    /// The first. A second text that leaves no room for it is an error of its row.
    OnlyFirst,
    /// The second, likewise.
    OnlySecond,
}

/// How a package's text is prepared. Unknown keys are errors.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextSpec {
    /// The Hugging Face tokenizer file, relative to the package folder. Default `tokenizer.json`.
    #[serde(default = "default_tokenizer")]
    pub tokenizer: String,
    /// Maximum number of tokens of a row, special tokens included; longer text is cut as `tokenizer.json` says (by default at its end).
    /// Default: the truncation that `tokenizer.json` declares; with neither, text is never cut.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_length: Option<usize>,
    /// The tensors that the program takes, in order. Default `["input_ids", "attention_mask"]`.
    #[serde(default = "default_inputs")]
    pub inputs: Vec<TextInput>,
    /// Name of the input whose tokenizer encodes this text too, as the second of a pair. Then the other keys are not for this input:
    /// it gives no tensors of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pair_of: Option<String>,
    /// For the first text of a pair. Default: as `tokenizer.json` declares, otherwise `longest_first`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub truncation: Option<Truncation>,
}

fn default_tokenizer() -> String {
    "tokenizer.json".to_owned()
}

fn default_inputs() -> Vec<TextInput> {
    vec![TextInput::InputIds, TextInput::AttentionMask]
}

impl Default for TextSpec {
    fn default() -> Self {
        Self { tokenizer: default_tokenizer(), max_length: None, inputs: default_inputs(), pair_of: None, truncation: None }
    }
}

impl TextSpec {
    /// Checks the values: a file name inside the package, a usable length, `input_ids` present and no input twice; no other key
    /// beside `pair_of`.
    ///
    /// # Errors
    /// [`TextError::BadSpec`] with the reason.
    pub fn validate(&self) -> Result<(), TextError> {
        let bad = |reason: String| Err(TextError::BadSpec(reason));
        let stays_inside = Path::new(&self.tokenizer).components().all(|c| matches!(c, Component::Normal(_)));
        if self.tokenizer.is_empty() || !stays_inside {
            return bad(format!("tokenizer = {:?} is not a file of the package", self.tokenizer));
        }
        if self.max_length == Some(0) {
            return bad("max_length = 0 leaves no token".to_owned());
        }
        if !self.inputs.contains(&TextInput::InputIds) {
            return bad("inputs lacks \"input_ids\"".to_owned());
        }
        if self.pair_of.is_some() && *self != (Self { pair_of: self.pair_of.clone(), ..Self::default() }) {
            return bad("with pair_of there is no other key: the tokenizer of the first text encodes both".to_owned());
        }
        for (position, input) in self.inputs.iter().enumerate() {
            if self.inputs[..position].contains(input) {
                return bad(format!("inputs names {:?} twice", input.name()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_and_strictness() {
        let spec: TextSpec = toml::from_str("").unwrap();
        assert_eq!(spec, TextSpec::default());
        let spec: TextSpec =
            toml::from_str("tokenizer = \"t.json\"\nmax_length = 7\ninputs = [\"token_type_ids\", \"input_ids\"]").unwrap();
        assert_eq!(spec.max_length, Some(7));
        assert_eq!(spec.inputs, [TextInput::TokenTypeIds, TextInput::InputIds]);
        assert!(spec.validate().is_ok());
        assert!(toml::from_str::<TextSpec>("lowercase = true").is_err());
        assert!(toml::from_str::<TextSpec>("inputs = [\"ids\"]").is_err());
    }

    #[test]
    fn the_second_text_of_a_pair_has_no_keys_of_its_own() {
        let spec: TextSpec = toml::from_str("pair_of = \"question\"").unwrap();
        assert_eq!(spec.pair_of.as_deref(), Some("question"));
        assert!(spec.validate().is_ok());
        let spec: TextSpec = toml::from_str("pair_of = \"question\"\nmax_length = 7").unwrap();
        assert!(spec.validate().unwrap_err().to_string().contains("no other key"));
        let spec: TextSpec = toml::from_str("truncation = \"only_second\"").unwrap();
        assert_eq!(spec.truncation, Some(Truncation::OnlySecond));
        assert!(toml::from_str::<TextSpec>("truncation = \"both\"").is_err());
    }

    #[test]
    fn contradictions_are_errors() {
        let with = |change: fn(&mut TextSpec)| {
            let mut spec = TextSpec::default();
            change(&mut spec);
            spec.validate().unwrap_err().to_string()
        };
        assert!(with(|s| s.tokenizer = "../x.json".into()).contains("not a file of the package"));
        assert!(with(|s| s.tokenizer = "/etc/passwd".into()).contains("not a file of the package"));
        assert!(with(|s| s.tokenizer = String::new()).contains("not a file of the package"));
        assert!(with(|s| s.max_length = Some(0)).contains("max_length"));
        assert!(with(|s| s.inputs = vec![TextInput::AttentionMask]).contains("input_ids"));
        assert!(with(|s| s.inputs = vec![TextInput::InputIds, TextInput::InputIds]).contains("twice"));
    }
}

//! Which parameters are frozen, or have settings of their own: patterns over names.

use flambeau_engine::EngineError;
use regex::Regex;

/// Names that a message lists.
const LISTED: usize = 20;

/// The patterns of one of the estimator's parameters.
pub(super) struct ParamFilter {
    /// The estimator's parameter, for messages.
    setting: &'static str,
    patterns: Vec<(String, Regex)>,
}

impl ParamFilter {
    /// A pattern is a parameter's name, a module's name (with all below it), either with `*` for any characters, or a regular
    /// expression that matches the whole name.
    pub(super) fn new(setting: &'static str, patterns: &[String]) -> Result<Self, EngineError> {
        let one = |pattern: &String| {
            let is_plain = pattern.chars().all(|c| c.is_alphanumeric() || "._-*".contains(c));
            let text = if is_plain && !pattern.contains(".*") {
                format!(r"^{}(\..*)?$", regex::escape(pattern).replace(r"\*", ".*"))
            } else {
                format!("^(?:{pattern})$")
            };
            let regex = Regex::new(&text).map_err(|error| EngineError::BadRequest(format!("{setting} '{pattern}': {error}")))?;
            Ok((pattern.clone(), regex))
        };
        Ok(Self { setting, patterns: patterns.iter().map(one).collect::<Result<_, _>>()? })
    }

    /// Whether some pattern matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.patterns.iter().any(|(_, regex)| regex.is_match(name))
    }

    /// Rejects a pattern that matches none of the parameters: it is probably misspelled.
    pub(super) fn check(&self, model: &str, names: &[&str]) -> Result<(), EngineError> {
        let unused = self.patterns.iter().find(|(_, regex)| !names.iter().any(|name| regex.is_match(name)));
        let Some((pattern, _)) = unused else { return Ok(()) };
        let some = names.iter().take(LISTED).copied().collect::<Vec<_>>().join(", ");
        Err(EngineError::BadRequest(format!(
            "no parameter of model '{model}' matches '{pattern}' of {}; its parameters are {some}",
            self.setting
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_modules_stars_and_expressions() {
        let matches = |pattern: &str, name: &str| ParamFilter::new("frozen", &[pattern.to_owned()]).unwrap().matches(name);
        assert!(matches("conv.weight", "conv.weight"));
        assert!(matches("features", "features.0.weight"));
        assert!(!matches("features.1", "features.10.weight"));
        assert!(matches("features.*", "features.0.weight"));
        assert!(matches("*bias", "a.b.bias") && !matches("*bias", "a.weight"));
        assert!(matches(r"features\.[0-3]\..*", "features.2.weight") && !matches(r"features\.[0-3]\..*", "features.4.weight"));
        assert!(ParamFilter::new("frozen", &["(".to_owned()]).is_err());
        let patterns = ParamFilter::new("frozen", &["conv".to_owned(), "cnov".to_owned()]).unwrap();
        assert!(patterns.check("net", &["conv.weight"]).unwrap_err().to_string().contains("'cnov' of frozen"));
        patterns.check("net", &["conv.weight", "cnov.weight"]).unwrap();
    }
}

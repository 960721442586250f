//! Which parameters stay frozen: patterns over names.

use flambeau_engine::EngineError;
use regex::Regex;

/// ParamFilter of one training.
pub(super) struct ParamFilter(Vec<(String, Regex)>);

impl ParamFilter {
    /// A pattern is a parameter's name, a module's name (with all below it), either with `*` for any characters, or a regular
    /// expression that matches the whole name.
    pub(super) fn new(patterns: &[String]) -> Result<Self, EngineError> {
        let one = |pattern: &String| {
            let is_plain = pattern.chars().all(|c| c.is_alphanumeric() || "._-*".contains(c));
            let text = if is_plain && !pattern.contains(".*") {
                format!(r"^{}(\..*)?$", regex::escape(pattern).replace(r"\*", ".*"))
            } else {
                format!("^(?:{pattern})$")
            };
            let regex = Regex::new(&text).map_err(|error| EngineError::BadRequest(format!("frozen layers '{pattern}': {error}")))?;
            Ok((pattern.clone(), regex))
        };
        patterns.iter().map(one).collect::<Result<_, _>>().map(Self)
    }

    /// Whether some pattern matches.
    pub(super) fn matches(&self, name: &str) -> bool {
        self.0.iter().any(|(_, regex)| regex.is_match(name))
    }

    /// A pattern that matches none of the names: probably misspelled.
    pub(super) fn unused<'a>(&self, names: impl Iterator<Item = &'a str> + Clone) -> Option<&str> {
        self.0.iter().find(|(_, regex)| !names.clone().any(|name| regex.is_match(name))).map(|(pattern, _)| pattern.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_modules_stars_and_expressions() {
        let matches = |pattern: &str, name: &str| ParamFilter::new(&[pattern.to_owned()]).unwrap().matches(name);
        assert!(matches("conv.weight", "conv.weight"));
        assert!(matches("features", "features.0.weight"));
        assert!(!matches("features.1", "features.10.weight"));
        assert!(matches("features.*", "features.0.weight"));
        assert!(matches("*bias", "a.b.bias") && !matches("*bias", "a.weight"));
        assert!(matches(r"features\.[0-3]\..*", "features.2.weight") && !matches(r"features\.[0-3]\..*", "features.4.weight"));
        assert!(ParamFilter::new(&["(".to_owned()]).is_err());
        let patterns = ParamFilter::new(&["conv".to_owned(), "cnov".to_owned()]).unwrap();
        assert_eq!(patterns.unused(["conv.weight"].into_iter()), Some("cnov"));
    }
}

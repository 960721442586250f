//! This machine's processor and its features, by the names that Linux uses (`avx512f`, `amx_bf16`).

use std::collections::BTreeSet;

use once_cell::sync::Lazy;

struct Processor {
    name: String,
    flags: BTreeSet<String>,
}

static PROCESSOR: Lazy<Processor> = Lazy::new(|| {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let value = |keys: &[&str]| {
        let line = text.lines().find(|line| keys.iter().any(|key| line.starts_with(key)));
        line.and_then(|line| line.split_once(':')).map_or("", |(_, value)| value.trim())
    };
    let flags = value(&["flags", "Features"]).split_whitespace().map(str::to_owned).collect();
    Processor { name: value(&["model name", "CPU part"]).to_owned(), flags }
});

/// The first of `required` that this processor lacks.
pub(crate) fn lacks(required: &[String]) -> Option<&str> {
    required.iter().map(String::as_str).find(|feature| !PROCESSOR.flags.contains(*feature))
}

/// Its name.
pub(crate) fn name() -> String {
    PROCESSOR.name.clone()
}

/// Its name and all of its features: the same for machines of the same kind.
pub(crate) fn identity() -> String {
    let flags: Vec<&str> = PROCESSOR.flags.iter().map(String::as_str).collect();
    format!("{} {}", PROCESSOR.name, flags.join(" "))
}

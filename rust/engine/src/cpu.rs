//! What this machine's processor can do, by the names that Linux uses (`avx512f`, `amx_bf16`).

use std::collections::HashSet;

use once_cell::sync::Lazy;

static FLAGS: Lazy<HashSet<String>> = Lazy::new(|| {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("flags") || line.starts_with("Features"));
    let flags = line.and_then(|line| line.split_once(':')).map_or("", |(_, flags)| flags);
    flags.split_whitespace().map(str::to_owned).collect()
});

/// The first of `required` that this processor lacks.
pub(crate) fn lacks(required: &[String]) -> Option<&str> {
    required.iter().map(String::as_str).find(|feature| !FLAGS.contains(*feature))
}

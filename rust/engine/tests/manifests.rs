//! Which manifests are packages: `tests/manifests.json` lists those that are and those that are not. Tests of Scala and of Python's own
//! reader hold the same table.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::path::Path;

use flambeau_engine::package;
use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    manifest: Vec<String>,
    accepted: Vec<Case>,
    refused: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    why: String,
    edits: Vec<(String, String)>,
}

#[test]
fn manifests_are_accepted_and_refused_as_the_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/manifests.json");
    let table: Table = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let whole = table.manifest.join("\n");
    let edited = |case: &Case| {
        case.edits.iter().fold(whole.clone(), |text, (find, replacement)| {
            assert_eq!(text.matches(find.as_str()).count(), 1, "{}: {find}", case.why);
            text.replace(find, replacement)
        })
    };
    for case in &table.accepted {
        package::list("here", &edited(case)).unwrap_or_else(|error| panic!("{}: {error}", case.why));
    }
    for case in &table.refused {
        assert!(package::list("here", &edited(case)).is_err(), "{} is accepted", case.why);
    }
    assert!(table.accepted.len() >= 20 && table.refused.len() >= 100);
}

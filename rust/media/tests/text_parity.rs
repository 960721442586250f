//! Token ids against Hugging Face's `tokenizers`, on 10,000 WordNet glosses and difficult strings, and the padding of batches of
//! those glosses. The reference is made by `tests/parity/make_text_reference.py`; its folder is `build/text-reference` of the
//! checkout, or `FLAMBEAU_TEXT_REFERENCE`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use flambeau_media::text::{Bucket, TextPreparer, TextSpec, plan_batches};
use serde::Deserialize;

#[derive(Deserialize)]
struct Line {
    text: String,
    ids: Vec<u32>,
    type_ids: Vec<u32>,
}

fn reference() -> PathBuf {
    let folder = std::env::var_os("FLAMBEAU_TEXT_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/text-reference"), PathBuf::from);
    assert!(
        folder.join("short.jsonl").is_file(),
        "{} is not there: run python tests/parity/make_text_reference.py build/text-reference",
        folder.display()
    );
    folder
}

fn lines(name: &str) -> Vec<Line> {
    let text = std::fs::read_to_string(reference().join(name)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn compare(name: &str, max_length: Option<usize>) -> Vec<usize> {
    let preparer = TextPreparer::open(&reference(), &TextSpec { max_length, ..TextSpec::default() }).unwrap();
    let lines = lines(name);
    assert!(!lines.is_empty());
    for line in &lines {
        let row = preparer.encode(&line.text).unwrap();
        assert_eq!(row.ids, line.ids, "{:?}", line.text);
        assert_eq!(row.type_ids, line.type_ids, "{:?}", line.text);
    }
    lines.iter().map(|line| line.ids.len()).collect()
}

#[test]
fn glosses_have_the_reference_ids() {
    assert_eq!(compare("glosses.jsonl", None).len(), 10_000);
}

#[test]
fn odd_strings_have_the_reference_ids() {
    compare("odd.jsonl", None);
}

#[test]
fn a_length_of_the_package_is_the_libraries_truncation() {
    assert!(compare("short.jsonl", Some(16)).iter().all(|&length| length <= 16));
}

/// At least 0.9 of the padded tokens are real, for a few hundred rows and for many.
#[test]
fn batches_of_glosses_are_full() {
    let lengths: Vec<usize> = lines("glosses.jsonl").iter().map(|line| line.ids.len()).collect();
    for rows in [256, 512, 1_024, 4_096, 10_000] {
        let (mut real, mut padded, mut passes) = (0, 0, 0);
        for part in lengths.chunks(rows) {
            let buckets = plan_batches(part, 64, 64 * 128);
            let tokens: usize = part.iter().sum();
            let filled: usize = buckets.iter().map(Bucket::padded).sum();
            assert!(tokens <= filled);
            real += tokens;
            padded += filled;
            passes += buckets.len();
        }
        let fill = real as f64 / padded as f64;
        println!("{rows} rows at a time: fill {fill:.3}, {:.1} rows a pass", lengths.len() as f64 / passes as f64);
        assert!(fill >= 0.9, "{rows} rows at a time: {fill}");
    }
}

/// Prefixes of a long text are enough, and give the same result as the whole text.
#[test]
fn ten_megabytes_of_glosses() {
    let preparer = TextPreparer::open(&reference(), &TextSpec::default()).unwrap();
    let all: Vec<String> = lines("glosses.jsonl").into_iter().map(|line| line.text).collect();
    let text = all.join("\n").repeat(20);
    assert!(text.len() > 10_000_000);
    let started = std::time::Instant::now();
    let row = preparer.encode(&text).unwrap();
    println!("{} bytes in {:?}", text.len(), started.elapsed());
    assert_eq!(row.len(), 128);
    let beginning = preparer.encode(&all[..100].join("\n")).unwrap();
    assert_eq!(row, beginning);
}

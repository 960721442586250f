//! Tokenizer files with a few wrong values: each is rejected, or tokenizes; neither crashes the process or uses up the memory.

use std::panic::{AssertUnwindSafe, catch_unwind};

use serde_json::{Value, json};

use super::super::TextError;
use super::tests::{open, replace, sequence, split, tokenizer};

/// Random numbers from a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }
}

/// Files with every part that a file can have.
fn files() -> Vec<Value> {
    let special = |content: &str, id: u32| json!({"id": id, "content": content, "single_word": false, "lstrip": true, "rstrip": false, "normalized": false, "special": true});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let bert = json!({
        "added_tokens": [special("[CLS]", 1), special("[SEP]", 2)],
        "truncation": {"direction": "Right", "max_length": 32, "strategy": "LongestFirst", "stride": 4},
        "padding": {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": 8, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"},
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": true, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, text],
            "pair": [text, {"Sequence": {"id": "B", "type_id": 1}}],
            "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [1], "tokens": ["[CLS]"]}}},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": true},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
            "vocab": {"[UNK]": 0, "[CLS]": 1, "[SEP]": 2, "a": 3, "##b": 4, "ab": 5}},
    });
    let levels = json!({
        "normalizer": sequence(&[replace(" ", "▁"), json!({"type": "NFKC"}), json!({"type": "Strip", "strip_left": true, "strip_right": true})]),
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split(r"\s+(?!\S)|\p{L}+", "Isolated", false),
            {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}, {"type": "Digits", "individual_digits": true}]},
        "post_processor": {"type": "RobertaProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1], "trim_offsets": true, "add_prefix_space": true},
    });
    let pieces = json!({
        "normalizer": sequence(&[json!({"type": "Prepend", "prepend": "▁"}), json!({"type": "Lowercase"})]),
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": true},
        "post_processor": {"type": "Sequence", "processors": [{"type": "BertProcessing", "sep": ["</s>", 2], "cls": ["<s>", 1]}]},
        "model": {"type": "Unigram", "unk_id": 0, "byte_fallback": false, "vocab": [["<unk>", 0.0], ["<s>", 0.0], ["a", -1.5], ["▁ab", -2.0], ["b", -3.0]]},
    });
    [bert, levels, pieces].iter().map(tokenizer).collect()
}

/// Every place in `value`, as a path of keys and positions.
fn places(value: &Value, path: &str, found: &mut Vec<String>) {
    found.push(path.to_owned());
    match value {
        Value::Array(items) => (0..items.len().min(8)).for_each(|at| places(&items[at], &format!("{path}/{at}"), found)),
        Value::Object(map) => {
            let keys = map.iter().take(20).map(|(key, inner)| (key.replace('~', "~0").replace('/', "~1"), inner));
            keys.for_each(|(key, inner)| places(inner, &format!("{path}/{key}"), found));
        }
        _ => {}
    }
}

/// Puts something else into one place.
fn damage(file: &mut Value, random: &mut Random) {
    let mut found = Vec::new();
    places(file, "", &mut found);
    let from = file.pointer(&found[random.below(found.len())]).cloned().unwrap_or_default();
    let place = &found[1 + random.below(found.len() - 1)];
    let numbers = [json!(0), json!(1), json!(7), json!(-1), json!(u32::MAX), json!(u64::MAX), json!(1e300)];
    let texts = [json!(""), json!("a"), json!("é\u{0}"), json!("a".repeat(3_000)), json!("(a*)*$"), json!("[CLS]"), json!("##b")];
    let others = [json!(null), json!(true), json!(false), json!([]), json!({}), json!([[["a", 1]]]), from];
    let choices: &[Value] = match file.pointer(place) {
        Some(Value::Number(_)) if random.below(4) > 0 => &numbers,
        Some(Value::String(_)) if random.below(4) > 0 => &texts,
        _ => &others,
    };
    if let Some(inside) = file.pointer_mut(place) {
        *inside = choices[random.below(choices.len())].clone();
    }
}

#[test]
fn damaged_files_are_refused_or_tokenize() {
    let variable = |name: &str| std::env::var(name).ok().and_then(|value| value.parse().ok());
    let mut random = Random(variable("FLAMBEAU_DAMAGED_SEED").unwrap_or(0x5eed));
    let rounds = variable("FLAMBEAU_DAMAGED_TOKENIZERS").unwrap_or(1_000);
    let (mut opened, mut refused, mut rows, mut errors, mut panics) = (0, 0, 0, 0, 0);
    let texts = ["", "ab a", "[CLS] é\u{301} 東京 12 ﷺ", &"ab \n".repeat(2_000), &"a".repeat(5_000)];
    for file in files() {
        assert!(open(&file).is_ok(), "{:?}", open(&file));
        for _ in 0..rounds {
            let mut damaged = file.clone();
            for _ in 0..=random.below(2) {
                damage(&mut damaged, &mut random);
            }
            let Ok(preparer) = open(&damaged) else {
                refused += 1;
                continue;
            };
            opened += 1;
            for text in texts {
                // A panic is caught around every row that is prepared.
                match catch_unwind(AssertUnwindSafe(|| preparer.encode(text))) {
                    Ok(Ok(row)) => {
                        assert_eq!(row.ids.len(), row.type_ids.len());
                        rows += 1;
                    }
                    Ok(Err(error)) => {
                        assert!(!matches!(error, TextError::BadTokenizer { .. } | TextError::BadSpec(_)));
                        errors += 1;
                    }
                    Err(_) => panics += 1,
                }
            }
        }
    }
    println!("{opened} opened, {refused} refused; {rows} rows, {errors} errors, {panics} panics");
    assert!(opened > 300 && refused > 300 && rows > 1_000);
}

//! Rules that make a text very long, and rules of every kind compared with the library without limits.

use std::path::Path;

use serde_json::{Value, json};

use super::super::{TextError, TextPreparer, TextSpec};
use super::*;

/// A tokenizer of single characters and a few pieces, with these parts.
pub(super) fn tokenizer(parts: &Value) -> Value {
    let letters = ('!'..='~').chain(['▁', 'é', 'Ġ', 'Ã', '©', 'ß']).map(String::from);
    let words = ["<unk>", "<s>", "</s>", "ab", "▁a", "Ġb"].map(String::from);
    let vocabulary: serde_json::Map<String, Value> =
        words.into_iter().chain(letters).zip(0..).map(|(word, id)| (word, json!(id))).collect();
    let merges = json!([["a", "b"], ["▁", "a"], ["Ġ", "b"]]);
    let mut file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null, "pre_tokenizer": null,
        "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": "<unk>", "continuing_subword_prefix": null, "end_of_word_suffix": null,
                  "fuse_unk": true, "byte_fallback": false, "vocab": vocabulary, "merges": merges},
    });
    for (name, part) in parts.as_object().unwrap() {
        file[name] = part.clone();
    }
    file
}

pub(super) fn open(parts: &Value) -> std::result::Result<TextPreparer, TextError> {
    static COUNTER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let folder = std::env::temp_dir().join(format!("flambeau-stages-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("tokenizer.json"), tokenizer(parts).to_string()).unwrap();
    let opened = TextPreparer::open(Path::new(&folder), &TextSpec::default());
    std::fs::remove_dir_all(&folder).unwrap();
    opened
}

pub(super) fn replace(pattern: &str, content: &str) -> Value {
    json!({"type": "Replace", "pattern": {"String": pattern}, "content": content})
}

pub(super) fn sequence(stages: &[Value]) -> Value {
    json!({"type": "Sequence", "normalizers": stages})
}

pub(super) fn split(expression: &str, behavior: &str, invert: bool) -> Value {
    json!({"type": "Split", "pattern": {"Regex": expression}, "behavior": behavior, "invert": invert})
}

fn cause(opened: std::result::Result<TextPreparer, TextError>) -> String {
    match opened.unwrap_err() {
        TextError::BadTokenizer { cause, .. } => cause,
        other => panic!("{other}"),
    }
}

#[test]
fn every_kind_of_rule_gives_what_the_library_gives() {
    let rules = [
        json!({}),
        json!({"normalizer": replace(" ", "▁")}),
        json!({"normalizer": replace("", "x")}),
        json!({"normalizer": {"type": "Replace", "pattern": {"Regex": " {2,}|b(?=a)"}, "content": "▁"}}),
        json!({"normalizer": sequence(&[json!({"type": "Prepend", "prepend": "▁"}), sequence(&[replace(" ", "▁"), json!({"type": "NFKC"})])])}),
        json!({"normalizer": sequence(&[])}),
        json!({"normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
               "pre_tokenizer": {"type": "BertPreTokenizer"}}),
        json!({"normalizer": {"type": "ByteLevel"}}),
        json!({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}}),
        json!({"pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": true}}),
        json!({"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            split(r"(?i:'s|'t)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+", "Isolated", false),
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false}]}}),
        json!({"pre_tokenizer": split(r"\w+", "Removed", true)}),
        json!({"pre_tokenizer": split("a", "MergedWithNext", false)}),
        json!({"pre_tokenizer": split("b|", "Contiguous", false)}),
        json!({"pre_tokenizer": {"type": "Split", "pattern": {"String": "."}, "behavior": "MergedWithPrevious", "invert": false}}),
        json!({"added_tokens": [{"id": 1, "content": "<s>", "single_word": false, "lstrip": true, "rstrip": false, "normalized": true, "special": true}],
               "normalizer": replace("s", "a")}),
    ];
    let texts = ["", "a", "ab ab  b", "Ünïcode ﬁ ﷺ 東京 é", "it's 1234567 <s>b <s>", "\n\n \t x.y.z", "aaab", " \u{a0}a\u{3000}"];
    for rule in rules {
        let theirs = tokenizers::Tokenizer::from_bytes(tokenizer(&rule).to_string()).unwrap();
        let ours = open(&rule).unwrap();
        for text in texts {
            let ids = theirs.encode(text, true).unwrap().get_ids().to_vec();
            assert_eq!(ours.encode(text).unwrap().ids, ids, "{text:?} by {rule}");
        }
    }
}

#[test]
fn chained_replacements_do_not_grow_without_end() {
    let rules: Vec<Value> = (0..8).map(|_| replace("a", &"a".repeat(16))).collect();
    let preparer = open(&json!({"normalizer": sequence(&rules)})).unwrap();
    for text in ["a", "banana", &"a".repeat(1_000_000)] {
        assert_eq!(preparer.encode(text), Err(TextError::Grows { bytes: text.len(), limit: STAGE_BYTES }));
    }
    assert_eq!(preparer.encode("b").unwrap().len(), 1);
    let error = preparer.encode("a").unwrap_err();
    assert!(matches!(error, TextError::Grows { .. }));
    assert!(error.to_string().contains("1 bytes") && error.to_string().contains("25165824 bytes"), "{error}");
    // Two rules are 256 letters; an error does not stay with the thread.
    let short = open(&json!({"normalizer": sequence(&rules[..2])})).unwrap();
    assert_eq!(short.encode("a").unwrap().len(), 256);
}

#[test]
fn one_rule_may_not_grow_a_text_either() {
    let megabyte = "x".repeat(1_000_000);
    let wide = open(&json!({"normalizer": replace("y", &megabyte)})).unwrap();
    assert!(matches!(wide.encode(&"y".repeat(1_000)), Err(TextError::Grows { bytes: 1_000, .. })));
    assert_eq!(wide.encode("byb").unwrap().len(), 1_000_002);
    let everywhere = open(&json!({"normalizer": {"type": "Replace", "pattern": {"Regex": "(?<=y)y*"}, "content": megabyte}})).unwrap();
    assert!(matches!(everywhere.encode(&"y ".repeat(100_000)), Err(TextError::Grows { .. })));
    let composed = open(&json!({"normalizer": {"type": "NFKC"}})).unwrap();
    assert!(matches!(composed.encode(&"ﷺ".repeat(1_000_000)), Err(TextError::Grows { bytes: 3_000_000, .. })));
    assert_eq!(composed.encode(&"ﷺ".repeat(1_000)).unwrap(), composed.encode(&"صلى الله عليه وسلم".repeat(1_000)).unwrap());
    let bytes: Vec<Value> =
        (0..12).map(|_| json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false})).collect();
    let levels = open(&json!({"pre_tokenizer": {"type": "Sequence", "pretokenizers": bytes}})).unwrap();
    assert!(matches!(levels.encode(&"é".repeat(30_000)), Err(TextError::Grows { bytes: 60_000, .. })));
}

#[test]
fn a_pattern_that_gives_up_is_an_error_and_no_other_tokens() {
    let hopeless = split("(a|b|ab)*(?>c)", "Isolated", false);
    let preparer = open(&json!({"pre_tokenizer": hopeless})).unwrap();
    let error = preparer.encode(&"ab".repeat(40)).unwrap_err();
    assert!(matches!(error, TextError::Tokenizer(_)) && error.to_string().contains("backtrack"), "{error}");
    assert_eq!(preparer.encode("abab").unwrap().len(), 2);
    let rule = json!({"type": "Replace", "pattern": {"Regex": "(a|b|ab)*(?>c)"}, "content": "x"});
    let error = open(&json!({"normalizer": rule})).unwrap().encode(&"ab".repeat(40)).unwrap_err();
    assert!(error.to_string().contains("backtrack"), "{error}");
}

#[test]
fn what_concerns_every_row_is_refused_when_the_file_is_read() {
    let template = |single: Value| {
        let pair = json!([{"Sequence": {"id": "A", "type_id": 0}}]);
        json!({"post_processor": {"type": "TemplateProcessing", "single": single, "pair": pair,
               "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}}})
    };
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let named = |token: &str| json!({"SpecialToken": {"id": token, "type_id": 0}});
    assert_eq!(open(&template(json!([named("<s>"), text]))).unwrap().encode("a").unwrap().len(), 2);
    let error = cause(open(&template(json!([named("[CLS]"), text]))));
    assert!(error.contains("it fails on the text"), "{error}");
    let error = cause(open(&template(json!([{"Sequence": {"id": "B", "type_id": 0}}]))));
    assert!(error.contains("it fails on the text"), "{error}");
    let error = cause(open(&template(Value::Array(vec![text.clone(); 1_000]))));
    assert!(error.contains("repeats the text 1000 times"), "{error}");

    let words = json!({"model": {"type": "WordPiece", "unk_token": "<unk>", "continuing_subword_prefix": "##", "max_input_chars_per_word": 1_000_000,
                                 "vocab": {"<unk>": 0, "a": 1, "##a": 2}}});
    assert!(cause(open(&words)).contains("max_input_chars_per_word"));
    let pieces = json!({"model": {"type": "Unigram", "unk_id": 0, "vocab": [["<unk>", 0.0], ["a".repeat(5_000), -1.0]]}});
    assert!(cause(open(&pieces)).contains("5000 bytes"));

    let prefix = json!({"model": {"type": "BPE", "continuing_subword_prefix": "much longer", "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": [["a", "b"]]}});
    assert!(cause(open(&prefix)).contains("its parts do not fit together"));
    let token = json!([{"id": 900, "content": "aaaa", "single_word": false, "lstrip": false, "rstrip": false, "normalized": true, "special": false}]);
    let rules: Vec<Value> = (0..8).map(|_| replace("a", &"a".repeat(16))).collect();
    assert!(cause(open(&json!({"added_tokens": token, "normalizer": sequence(&rules)}))).contains("an added token grows"));
    assert!(cause(open(&json!({"normalizer": sequence(&vec![json!({"type": "NFC"}); 1_000])}))).contains("1000 normalizers"));
    assert!(cause(open(&json!({"normalizer": {"type": "Prepend", "prepend": "a".repeat(2_000)}}))).contains("prepends 2000 bytes"));
    let huge = json!({"normalizer": {"type": "Replace", "pattern": {"Regex": "(?:a{1,1000}){1,1000}"}, "content": ""}});
    assert!(open(&huge).is_err());
    let mut nested = json!({"type": "NFC"});
    for _ in 0..100 {
        nested = sequence(&[nested]);
    }
    assert!(open(&json!({"normalizer": nested})).is_err());
}

#[test]
fn replacements_of_a_table_are_measured() {
    #[derive(serde::Serialize)]
    struct Table {
        precompiled_charsmap: String,
    }
    let table =
        |replacements: &[u8]| Table { precompiled_charsmap: base64::encode([&8u32.to_le_bytes()[..], &[255; 8], replacements].concat()) };
    assert_eq!(longest_replacement(&table(b"ab\0abcd\0\0x")).unwrap(), 4);
    assert_eq!(longest_replacement(&table(b"")).unwrap(), 1);
    assert!(longest_replacement(&table(&[b'a'; 5_000])).unwrap_err().contains("5000 bytes"));
}

#[test]
fn a_stride_repeats_nothing() {
    let cut = json!({"direction": "Right", "max_length": 64, "strategy": "LongestFirst", "stride": 63});
    let preparer = open(&json!({"truncation": cut})).unwrap();
    assert_eq!(preparer.encode(&"ab".repeat(200_000)).unwrap().ids, [3; 64]);
}

/// Words of two million letters, and added tokens that look at the white space before them.
#[test]
fn time_grows_with_the_length_of_a_text_only() {
    let byte_level = json!({"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}});
    assert_eq!(open(&byte_level).unwrap().encode(&"ab".repeat(1_000_000)).unwrap().len(), 1_000_000);
    let mask = json!({"added_tokens": [{"id": 900, "content": "<m>", "single_word": true, "lstrip": true, "rstrip": true, "normalized": false, "special": true}]});
    let masked = open(&mask).unwrap();
    assert_eq!(masked.encode(&"<m> ".repeat(200_000)).unwrap().len(), 200_000);
}

//! A vocabulary of nine words is enough for these tests; `tests/text_parity.rs` compares real tokenizers with Hugging Face's.

use super::*;

fn tokenizer_json(extra: &str) -> String {
    format!(
        r###"{{"version":"1.0","truncation":null,"padding":null,"added_tokens":[
        {{"id":0,"content":"[PAD]","single_word":false,"lstrip":false,"rstrip":false,"normalized":false,"special":true}}],
        "normalizer":{{"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true}},
        "pre_tokenizer":{{"type":"BertPreTokenizer"}},
        "post_processor":{{"type":"BertProcessing","sep":["[SEP]",3],"cls":["[CLS]",2]}},"decoder":null,
        "model":{{"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"##","max_input_chars_per_word":100,
        "vocab":{{"[PAD]":0,"[UNK]":1,"[CLS]":2,"[SEP]":3,"a":4,"torch":5,"##es":6,"burn":7,",":8}}}}{extra}}}"###
    )
}

fn open_json(json: &str, spec: &TextSpec) -> Result<TextPreparer, TextError> {
    static COUNTER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("flambeau-text-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("tokenizer.json"), json).unwrap();
    let opened = TextPreparer::open(&directory, spec);
    std::fs::remove_dir_all(&directory).unwrap();
    opened
}

/// The row of a text that is tokenized as a whole.
fn whole(preparer: &TextPreparer, text: &str) -> TokenRow {
    preparer.encode_whole(EncodeInput::Single(text.into()), text.len(), false).unwrap().0
}

fn open(max_length: Option<usize>) -> TextPreparer {
    open_json(&tokenizer_json(""), &TextSpec { max_length, ..TextSpec::default() }).unwrap()
}

#[test]
fn words_pieces_and_empty_text() {
    let preparer = open(None);
    assert_eq!(preparer.encode("A torch, torches BURN").unwrap().ids, [2, 4, 5, 8, 5, 6, 7, 3]);
    let empty = preparer.encode("").unwrap();
    assert_eq!((empty.ids, empty.type_ids), (vec![2, 3], vec![0, 0]));
    assert_eq!(preparer.encode(" \t\n\u{200b}\u{0}").unwrap().ids, [2, 3]);
    assert_eq!(preparer.max_length(), None);
}

#[test]
fn truncation_is_the_packages() {
    assert_eq!(open(Some(4)).encode("a a a a a").unwrap().ids, [2, 4, 4, 3]);
    let declared = tokenizer_json("")
        .replace(r#""truncation":null"#, r#""truncation":{"direction":"Left","max_length":5,"strategy":"LongestFirst","stride":0}"#);
    let by_file = open_json(&declared, &TextSpec::default()).unwrap();
    assert_eq!(by_file.encode("torch torch a a burn").unwrap().ids, [2, 4, 4, 7, 3]);
    assert_eq!(by_file.max_length(), Some(5));
    let by_both = open_json(&declared, &TextSpec { max_length: Some(3), ..TextSpec::default() }).unwrap();
    assert_eq!(by_both.encode("torch torch a a burn").unwrap().ids, [2, 7, 3]);
    for max_length in [1, 2] {
        let error = open_json(&tokenizer_json(""), &TextSpec { max_length: Some(max_length), ..TextSpec::default() });
        assert!(matches!(error, Err(TextError::BadSpec(_))));
    }
}

#[test]
fn ten_megabytes_give_what_the_whole_text_gives() {
    let preparer = open(Some(128));
    assert!(preparer.prefix_suffices);
    let words = "torches, a burn é\u{301}x ".repeat(500_000);
    assert!(words.len() >= 10_000_000);
    let row = preparer.encode(&words).unwrap();
    assert_eq!(row.len(), 128);
    assert_eq!(row, whole(&preparer, &words[..20_000 - 20_000 % 22]));
    // Few tokens at the end: only blanks for longer than the first pieces.
    let late = format!("{}{}", " ".repeat(3_000_000), "torch ".repeat(200));
    assert_eq!(preparer.encode(&late).unwrap(), whole(&preparer, &late));
    // Separators other than blanks, and characters of several bytes at the cut.
    let wide = "中torch\u{3000}é\u{2028}a\u{a0}".repeat(100_000);
    assert_eq!(preparer.encode(&wide).unwrap(), whole(&preparer, &wide));
    // One word of 10 MB is one unknown token.
    assert_eq!(preparer.encode(&"x".repeat(10_000_000)).unwrap().ids, [2, 1, 3]);
    // Past the limit only the beginning is used, or the text is an error.
    assert_eq!(preparer.encode(&"torch ".repeat(9_000_000)).unwrap(), preparer.encode(&"torch ".repeat(9_000)).unwrap());
    let error = preparer.encode(&"x".repeat(50_000_000)).unwrap_err();
    assert!(matches!(error, TextError::TooLong { bytes: 50_000_000, .. }));
}

#[test]
fn odd_unicode_never_fails() {
    let preparer = open(Some(16));
    for text in
        ["\u{feff}a", "a\u{0301}\u{0301}\u{0301}", "👩‍👩‍👧‍👦", "\u{202e}hcrot", "中文torch", "\u{10ffff}", "\u{fffd}\u{fffe}", "ﷺ", "\0\0a"]
    {
        let row = preparer.encode(text).unwrap();
        assert!(row.len() >= 2 && row.len() <= 16 && row.type_ids.len() == row.len(), "{text:?}");
    }
    assert_eq!(preparer.encode_row(b"a torch", None, false).unwrap().ids, [2, 4, 5, 3]);
    assert_eq!(preparer.encode_row(b"a \xed\xa0\x80", None, false), Err(TextError::NotUtf8 { offset: 2 }));
}

#[test]
fn filling_pads_as_declared() {
    let preparer = open(None);
    let rows = [preparer.encode("a torch").unwrap(), preparer.encode("").unwrap()];
    let bucket = Bucket { rows: vec![1, 0], length: 4 };
    assert_eq!(preparer.fill(&rows, &bucket, TextInput::InputIds), [2, 3, 0, 0, 2, 4, 5, 3]);
    assert_eq!(preparer.fill(&rows, &bucket, TextInput::AttentionMask), [1, 1, 0, 0, 1, 1, 1, 1]);
    assert_eq!(preparer.fill(&rows, &bucket, TextInput::TokenTypeIds), [0; 8]);

    let left = tokenizer_json("").replace(
        r#""padding":null"#,
        r#""padding":{"strategy":"BatchLongest","direction":"Left","pad_to_multiple_of":null,"pad_id":8,"pad_type_id":1,"pad_token":","}"#,
    );
    let left = open_json(&left, &TextSpec::default()).unwrap();
    assert_eq!(left.encode("").unwrap().ids, [2, 3]);
    assert_eq!(left.fill(&rows, &bucket, TextInput::InputIds), [8, 8, 2, 3, 2, 4, 5, 3]);
    assert_eq!(left.fill(&rows, &bucket, TextInput::AttentionMask), [0, 0, 1, 1, 1, 1, 1, 1]);
    assert_eq!(left.fill(&rows, &bucket, TextInput::TokenTypeIds), [1, 1, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_bad_file_says_which_and_why() {
    let missing = TextPreparer::open(Path::new("/nowhere"), &TextSpec::default()).unwrap_err();
    assert!(missing.to_string().contains("/nowhere/tokenizer.json") && matches!(missing, TextError::BadTokenizer { .. }));
    assert!(matches!(open_json("{}", &TextSpec::default()), Err(TextError::BadTokenizer { .. })));
    assert!(matches!(open_json("not json", &TextSpec::default()), Err(TextError::BadTokenizer { .. })));
}

#[test]
fn threads_share_one_preparer() {
    let preparer = open(Some(8));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert_eq!(preparer.encode("a torch").unwrap().ids, [2, 4, 5, 3]);
                }
            });
        }
    });
}

fn open_pairs(max_length: Option<usize>, truncation: Option<Truncation>) -> TextPreparer {
    static COUNTER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    let number = COUNTER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("flambeau-pairs-{}-{number}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    std::fs::write(directory.join("tokenizer.json"), tokenizer_json("")).unwrap();
    let opened = TextPreparer::open_for_pairs(&directory, &TextSpec { max_length, truncation, ..TextSpec::default() });
    std::fs::remove_dir_all(&directory).unwrap();
    opened.unwrap()
}

#[test]
fn two_texts_become_one_row() {
    let pair = |preparer: &TextPreparer, a: &str, b: &str| preparer.encode_row(a.as_bytes(), Some(b.as_bytes()), false);
    let preparer = open_pairs(None, None);
    let row = pair(&preparer, "a torch", "burn").unwrap();
    assert_eq!((row.ids, row.type_ids), (vec![2, 4, 5, 3, 7, 3], vec![0, 0, 0, 0, 1, 1]));
    assert_eq!(pair(&preparer, "", "").unwrap().ids, [2, 3, 3]);
    assert!(matches!(preparer.encode_row(b"a", Some(b"\xff"), false), Err(TextError::NotUtf8 { offset: 0 })));
    let long = "torch ".repeat(3_000_000);
    assert!(matches!(pair(&preparer, "a", &long), Err(TextError::TooLong { .. })));
}

#[test]
fn a_pair_is_cut_as_the_package_says() {
    let ids = |truncation, a: &str, b: &str| open_pairs(Some(7), truncation).encode_row(a.as_bytes(), Some(b.as_bytes()), false);
    let (a, b) = ("a a a a a", "burn burn");
    assert_eq!(ids(None, a, b).unwrap().ids, [2, 4, 4, 3, 7, 7, 3]);
    assert_eq!(ids(Some(Truncation::LongestFirst), a, b).unwrap().ids, [2, 4, 4, 3, 7, 7, 3]);
    assert_eq!(ids(Some(Truncation::OnlyFirst), a, b).unwrap().ids, [2, 4, 4, 3, 7, 7, 3]);
    assert_eq!(ids(Some(Truncation::OnlySecond), b, a).unwrap().ids, [2, 7, 7, 3, 4, 4, 3]);
    assert!(matches!(ids(Some(Truncation::OnlySecond), a, b), Err(TextError::Tokenizer(_))));
}

#[test]
fn offsets_count_characters() {
    let text = "\u{1f600} torches, \u{c4} a".as_bytes();
    let row = open(Some(6)).encode_row(text, None, true).unwrap();
    let offsets = row.offsets.unwrap();
    assert_eq!(row.ids, [2, 1, 5, 6, 8, 3]);
    assert_eq!(offsets.characters, [(0, 0), (0, 1), (2, 7), (7, 9), (9, 10), (0, 0)]);
    assert_eq!(offsets.texts, [None, Some(0), Some(0), Some(0), Some(0), None]);
    assert_eq!([2, 3, 4].map(|at| offsets.word(at)), [(2, 9), (2, 9), (9, 10)]);
    let row = open_pairs(None, None).encode_row(b"a", Some("\u{1f600} burn".as_bytes()), true).unwrap();
    let offsets = row.offsets.unwrap();
    assert_eq!(offsets.texts, [None, Some(0), None, Some(1), Some(1), None]);
    assert_eq!(offsets.characters[4], (2, 6));
}

//! The cost of preparing a row for a model: `cargo bench -p flambeau-media`. CONTRIBUTING.md says how to compare two states of the code.
//!
//! Rows are generated here, so that two machines measure the same rows; only compressed sounds are those of the tests. A picture is a noisy gradient of 640 x 480 pixels,
//! prepared for EfficientNet-Lite0; `resize` begins with its pixels, so the difference from `picture` is the time of decoding.

#![allow(missing_docs, clippy::expect_used, reason = "a program for people who measure")]

use std::hint::black_box;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use flambeau_media::audio::{decode, resample};
use flambeau_media::image::{ImageLimits, ImageSpec, PixelView, prepare_encoded, prepare_pixels};
use flambeau_media::text::{TextPreparer, TextSpec, plan_batches};
use image::{DynamicImage, ImageFormat, Rgb, RgbImage};
use serde_json::{Map, Value, json};

const WIDTH: u32 = 640;
const HEIGHT: u32 = 480;

const TEXT: &str = "The committee, which had met for the third time that week, could not agree on whether the bridge over the river \
    should be repaired before winter or replaced by a wider one; nobody had asked the people who crossed it every day.";

/// Numbers that look random.
fn noise(i: u32) -> u32 {
    i.wrapping_mul(2_654_435_761) >> 24
}

fn picture() -> RgbImage {
    let value = |x: u32, y: u32, channel: u32| ((x / 4 + y / 4 + channel * 40) % 224 + noise((y * WIDTH + x) * 3 + channel) / 8) as u8;
    RgbImage::from_fn(WIDTH, HEIGHT, |x, y| Rgb([0, 1, 2].map(|channel| value(x, y, channel))))
}

fn spec(interpolation: &str) -> ImageSpec {
    let text = format!(
        "resize = 256\ncrop = 224\ninterpolation = '{interpolation}'\nscale = 1.0\nmean = [127.0, 127.0, 127.0]\nstd = [128.0, 128.0, 128.0]"
    );
    toml::from_str(&text).expect("a spec")
}

fn pictures(criterion: &mut Criterion) {
    let (spec, limits) = (spec("bicubic"), ImageLimits::default());
    let mut out = vec![0.0; 224 * 224 * 3];
    let mut group = criterion.benchmark_group("picture");
    group.throughput(Throughput::Elements(1));
    let formats = [ImageFormat::Jpeg, ImageFormat::Png, ImageFormat::WebP, ImageFormat::Gif, ImageFormat::Bmp, ImageFormat::Tiff];
    for format in formats {
        let mut file = Cursor::new(Vec::new());
        DynamicImage::from(picture()).write_to(&mut file, format).expect("an encoded picture");
        let file = file.into_inner();
        group.bench_function(format.extensions_str()[0], |bencher| {
            bencher.iter(|| prepare_encoded(black_box(&file), &spec, &limits, &mut out).expect("a picture"));
        });
    }
}

fn resizing(criterion: &mut Criterion) {
    let limits = ImageLimits::default();
    let pixels: Vec<u8> = picture().pixels().flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
    let view = PixelView { height: HEIGHT as i32, width: WIDTH as i32, channels: 3, data: &pixels };
    let mut out = vec![0.0; 224 * 224 * 3];
    let mut group = criterion.benchmark_group("resize");
    group.throughput(Throughput::Elements(1));
    for interpolation in ["nearest", "bilinear", "bicubic", "lanczos"] {
        let spec = spec(interpolation);
        group.bench_function(interpolation, |bencher| {
            bencher.iter(|| prepare_pixels(black_box(&view), &spec, &limits, &mut out).expect("pixels"));
        });
    }
}

/// WordPiece over the vocabulary of all strings of up to three letters and half of the text's words, some 36,000 entries.
fn tokenizer() -> TextPreparer {
    let letters: Vec<String> = ('a'..='z').map(String::from).collect();
    let longer =
        |shorter: &[String]| -> Vec<String> { shorter.iter().flat_map(|s| letters.iter().map(move |l| format!("{s}{l}"))).collect() };
    let (pairs, triples) = (longer(&letters), longer(&longer(&letters)));
    let pieces = || letters.iter().chain(&pairs).chain(&triples);
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ",", ".", ";"].map(str::to_owned);
    let text = TEXT.to_lowercase();
    let words = text.split([' ', ',', ';', '.']).step_by(2).map(str::to_owned);
    let all = special.into_iter().chain(pieces().cloned()).chain(pieces().map(|piece| format!("##{piece}"))).chain(words);
    let mut vocabulary = Map::new();
    for entry in all {
        let id = vocabulary.len();
        vocabulary.entry(entry).or_insert_with(|| Value::from(id));
    }
    let file = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "decoder": null,
        "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##", "max_input_chars_per_word": 100,
                  "vocab": vocabulary},
    });
    let folder = std::env::temp_dir().join(format!("flambeau-prepare-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("tokenizer.json"), file.to_string()).expect("a file");
    let opened = TextPreparer::open(&folder, &TextSpec { max_length: Some(128), ..TextSpec::default() });
    std::fs::remove_dir_all(&folder).expect("the folder goes");
    opened.expect("a tokenizer")
}

fn texts(criterion: &mut Criterion) {
    let preparer = tokenizer();
    let mut group = criterion.benchmark_group("text");
    for (name, text) in [("sentence", TEXT.to_owned()), ("document", TEXT.repeat(40))] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |bencher| bencher.iter(|| preparer.encode(black_box(&text)).expect("tokens")));
    }
    let lengths: Vec<usize> = (0..1024).map(|i| 8 + noise(i) as usize / 2).collect();
    group.throughput(Throughput::Elements(lengths.len() as u64));
    group.bench_function("plan of 1024 rows", |bencher| bencher.iter(|| plan_batches(black_box(&lengths), 64, 2048)));
}

/// Ten seconds of 16 bits at 44.1 kHz, in one channel.
fn wav() -> Vec<u8> {
    const RATE: u32 = 44_100;
    let data: Vec<u8> = (0..RATE * 10).flat_map(|i| ((noise(i) as i16 - 128) * 100).to_le_bytes()).collect();
    let length = u32::try_from(data.len()).expect("a short file");
    let mut file = b"RIFF".to_vec();
    file.extend((length + 36).to_le_bytes());
    file.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    file.extend(RATE.to_le_bytes());
    file.extend((RATE * 2).to_le_bytes());
    file.extend(b"\x02\0\x10\0data");
    file.extend(length.to_le_bytes());
    file.extend(data);
    file
}

/// Four seconds of a meeting, compressed; there is no encoder here.
fn clip(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("FLAMBEAU_AUDIO_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/audio-reference"), PathBuf::from);
    std::fs::read(folder.join("clips").join(name)).expect("a clip: run ./gradlew references")
}

fn sounds(criterion: &mut Criterion) {
    let file = wav();
    let samples = decode(&file, 600.0).expect("a sound").samples;
    let mut group = criterion.benchmark_group("sound");
    group.throughput(Throughput::Elements(samples.len() as u64));
    group.bench_function("wav", |bencher| bencher.iter(|| decode(black_box(&file), 600.0).expect("a sound")));
    for name in ["flac16_44100_1.flac", "vorbis_44100_1.ogg", "mp3_44100_1.mp3"] {
        let file = clip(name);
        let samples = decode(&file, 600.0).expect("a sound").samples.len();
        group.throughput(Throughput::Elements(samples as u64));
        let kind = name.split_once('_').map_or(name, |(kind, _)| kind);
        group.bench_function(kind, |bencher| bencher.iter(|| decode(black_box(&file), 600.0).expect("a sound")));
    }
    group.throughput(Throughput::Elements(samples.len() as u64));
    group.bench_function("44.1 to 16 kHz", |bencher| bencher.iter(|| resample(black_box(&samples), 44_100, 16_000).expect("samples")));
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    targets = pictures, resizing, texts, sounds
}
criterion_main!(benches);

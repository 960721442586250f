//! Decoding against libsndfile and resampling against SoX's resampler, on real meeting speech in every format; then the same files
//! damaged. The reference is made by `tests/parity/make_audio_reference.py`; its folder is `build/audio-reference` of the
//! checkout, or `FLAMBEAU_AUDIO_REFERENCE`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};

use flambeau_media::audio::{AudioError, AudioPreparer, AudioSpec, decode, resample};
use serde::Deserialize;
use serde::de::DeserializeOwned;

#[derive(Deserialize)]
struct Cases {
    clips: Vec<Clip>,
    errors: Vec<Failure>,
}

#[derive(Deserialize)]
struct Clip {
    file: String,
    sample_rate: u32,
    samples: usize,
    tolerance: f32,
}

#[derive(Deserialize)]
struct Failure {
    file: String,
    error: String,
}

/// A damaged file, and libsndfile's result, if there is one.
#[derive(Deserialize)]
struct Damaged {
    name: String,
    bytes: usize,
    /// None if a file does not show that it is damaged, and every decoder gives another result.
    tolerance: Option<f32>,
    sample_rate: Option<u32>,
    samples: Option<usize>,
}

#[derive(Deserialize)]
struct Resampled {
    number: usize,
    from: u32,
    to: u32,
}

fn reference() -> PathBuf {
    let folder = std::env::var_os("FLAMBEAU_AUDIO_REFERENCE")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/audio-reference"), PathBuf::from);
    assert!(
        folder.join("models.json").is_file(),
        "{} is not there: run python tests/parity/make_audio_reference.py build/audio-reference",
        folder.display()
    );
    folder
}

fn json<T: DeserializeOwned>(name: &str) -> T {
    serde_json::from_slice(&std::fs::read(reference().join(name)).unwrap()).unwrap()
}

fn bytes(file: &str) -> Vec<u8> {
    std::fs::read(reference().join("clips").join(file)).unwrap()
}

fn floats(path: PathBuf) -> Vec<f32> {
    let bytes = std::fs::read(path).unwrap();
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect()
}

fn worst(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn every_format_decodes_as_libsndfile_does() {
    let clips = json::<Cases>("cases.json").clips;
    assert!(clips.len() > 80);
    let mut failures = Vec::new();
    for clip in clips {
        let expected = floats(reference().join("clips").join(format!("{}.f32", clip.file)));
        let decoded = match decode(&bytes(&clip.file), 600.0) {
            Ok(decoded) => decoded,
            Err(error) => {
                failures.push(format!("{}: {error}", clip.file));
                continue;
            }
        };
        let difference = worst(&decoded.samples, &expected);
        // The mean of several channels is rounded in another order.
        let allowed = clip.tolerance + 2e-7;
        if decoded.sample_rate != clip.sample_rate || decoded.samples.len() != clip.samples || difference > allowed {
            failures.push(format!(
                "{}: {} of {} samples at {} Hz, differ by {difference}",
                clip.file,
                decoded.samples.len(),
                clip.samples,
                decoded.sample_rate
            ));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn what_is_no_sound_says_so() {
    for failure in json::<Cases>("cases.json").errors {
        let error = match decode(&bytes(&failure.file), 600.0) {
            Ok(waveform) => panic!("{} gave {} samples", failure.file, waveform.samples.len()),
            Err(error) => error,
        };
        assert!(error.to_string().starts_with(&failure.error), "{}: {error}", failure.file);
        assert!(!matches!(error, AudioError::BadSpec(_)));
    }
}

/// The filters differ close to the lower of the two Nyquist frequencies, where speech has little; elsewhere they agree.
#[test]
fn resampling_agrees_with_sox() {
    for case in json::<Vec<Resampled>>("resampled.json") {
        let folder = reference().join("resampled");
        let given = floats(folder.join(format!("{}.in.f32", case.number)));
        let expected = floats(folder.join(format!("{}.out.f32", case.number)));
        let resampled = resample(&given, case.from, case.to).unwrap();
        assert!(resampled.len().abs_diff(expected.len()) <= 1, "{} and {}", resampled.len(), expected.len());
        let power = |samples: &[f32]| samples.iter().map(|&x| f64::from(x) * f64::from(x)).sum::<f64>();
        let difference: Vec<f32> = resampled.iter().zip(&expected).map(|(a, b)| a - b).collect();
        let decibels = 10.0 * (power(&difference) / power(&expected)).log10();
        println!("{} Hz to {} Hz: {decibels:.1} dB, worst {:.2e}", case.from, case.to, worst(&resampled, &expected));
        assert!(decibels < -40.0, "{} Hz to {} Hz: {decibels} dB", case.from, case.to);
    }
}

#[test]
fn a_clip_is_prepared_at_the_programs_rate() {
    let spec = AudioSpec { max_seconds: 90.0, ..serde_json::from_str(r#"{"sample_rate": 16000}"#).unwrap() };
    let preparer = AudioPreparer::new(spec).unwrap();
    let direct = preparer.prepare(&bytes("flac16_16000_1.flac")).unwrap();
    for file in ["flac16_44100_2.flac", "vorbis_44100_1.ogg", "mp3_44100_1.mp3", "s16_8000_1.wav"] {
        let prepared = preparer.prepare(&bytes(file)).unwrap();
        assert!(prepared.len().abs_diff(direct.len()) <= 1, "{file}: {} and {}", prepared.len(), direct.len());
        assert!(prepared.iter().all(|sample| sample.is_finite()));
    }
    let short = AudioPreparer::new(AudioSpec { max_seconds: 3.9, ..preparer.spec().clone() }).unwrap();
    assert_eq!(short.prepare(&bytes("mp3_44100_1.mp3")), Err(AudioError::TooLong { max_seconds: 3.9 }));
}

/// A file cut anywhere is an error, or (a stream that does not say how long it is) the beginning of the clip.
#[test]
fn cut_files_give_an_error_or_the_beginning() {
    for file in ["flac16_16000_1.flac", "vorbis_16000_2.ogg", "mp3_16000_1.mp3", "extensible_s24_16000_2.wav"] {
        let whole = bytes(file);
        let complete = decode(&whole, 600.0).unwrap().samples;
        for step in 0..60 {
            match decode(&whole[..whole.len() * step / 60], 600.0) {
                Ok(waveform) => {
                    assert!(!file.ends_with("wav") && !file.ends_with("flac"), "{file} cut to {step}/60 passed as whole");
                    assert!(waveform.samples.len() <= complete.len());
                }
                Err(error) => assert!(!matches!(error, AudioError::BadSpec(_))),
            }
        }
    }
}

/// Some 4,000 damaged files: finite samples or an error of the row, whatever the damage.
#[test]
fn damaged_files_never_panic() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = move |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let (mut sound, mut errors, mut gave_up) = (0, 0, 0);
    for file in ["flac24_8000_1.flac", "vorbis_8000_1.ogg", "mp3_8000_1.mp3", "alaw_8000_2.wav", "f64_8000_1.wav"] {
        let whole = bytes(file);
        for round in 0..800 {
            let mut damaged = whole[..(whole.len() / 4).max(4_096).min(whole.len())].to_vec();
            let reach = if round % 2 == 0 { 200 } else { damaged.len() };
            for _ in 0..=next(8) {
                let at = next(reach);
                damaged[at] = next(256) as u8;
            }
            match decode(&damaged, 30.0) {
                Ok(waveform) => {
                    assert!(waveform.samples.iter().all(|sample| sample.is_finite()));
                    sound += 1;
                }
                Err(error) => {
                    assert!(!matches!(error, AudioError::BadSpec(_)));
                    gave_up += usize::from(error.to_string().contains("gave up"));
                    errors += 1;
                }
            }
        }
    }
    println!("{sound} decoded, {errors} errors, of which {gave_up} panics inside the decoder");
    assert!(sound > 0 && errors > 0);
}

/// A file with a few wrong bytes is an error, or gives libsndfile's result (which reads many files that are errors here).
#[test]
fn what_damaged_files_answer_is_what_libsndfile_answers() {
    let folder = std::env::var_os("FLAMBEAU_DAMAGED_SOUNDS").map_or_else(reference, PathBuf::from);
    let packed = std::fs::read(folder.join("damaged.bin")).unwrap();
    let (mut rest, mut contradictions) = (packed.as_slice(), Vec::new());
    let (mut same, mut refused, mut alone) = (0, 0, 0);
    let cases: Vec<Damaged> = serde_json::from_slice(&std::fs::read(folder.join("damaged.json")).unwrap()).unwrap();
    for case in cases {
        let (file, behind) = rest.split_at(case.bytes);
        let (answer, behind) = behind.split_at(case.samples.unwrap_or(0) * 4);
        rest = behind;
        let expected: Vec<f32> = answer.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().unwrap())).collect();
        match (decode(file, 10.0), case.sample_rate) {
            (Err(error), _) => {
                assert!(!matches!(error, AudioError::BadSpec(_)));
                refused += 1;
            }
            (Ok(_), None) => alone += 1,
            (Ok(ours), Some(rate)) => {
                let difference = worst(&ours.samples, &expected);
                let alike = case.tolerance.is_none_or(|tolerance| ours.samples.len() == expected.len() && difference <= tolerance + 2e-7);
                if ours.sample_rate == rate && alike {
                    same += 1;
                } else {
                    contradictions.push(format!(
                        "{}: {} samples at {} Hz, not {} at {rate} Hz; they differ by {difference}",
                        case.name,
                        ours.samples.len(),
                        ours.sample_rate,
                        expected.len()
                    ));
                }
            }
        }
    }
    println!("{same} answered alike, {refused} refused, {alone} answered by us alone");
    assert!(same > 100 && refused > 100);
    assert!(contradictions.is_empty(), "{}", contradictions.join("\n"));
}

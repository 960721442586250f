//! Image preparation against Pillow: every case in the folder made by `tests/parity/make_image_reference.py`.
//!
//! The folder is `FLAMBEAU_IMAGE_REFERENCE`, otherwise `build/image-reference` of the checkout, which `./gradlew test` makes first.
//! Each case gives the settings, the file and the values, which must be equal. Two archives hold many small files each, sound and
//! damaged, with Pillow's pixels of those that it reads (`tests/parity/picture_archives.py`).

#![allow(clippy::expect_used, clippy::panic, reason = "helpers of tests fail by panicking")]

mod archives;

use flambeau_media::image::{ImageLimits, ImageSpec, prepare_encoded};
use serde::Deserialize;

use archives::{Archived, folder};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Cases {
    case: Vec<Case>,
    bad: Vec<Bad>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    file: String,
    reference: String,
    spec: ImageSpec,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bad {
    file: String,
    says: String,
}

fn cases() -> Cases {
    let list = folder().join("cases.toml");
    let text = std::fs::read_to_string(&list).unwrap_or_else(|error| {
        panic!(
            "{}: {error}. Make it: .venv/bin/python tests/parity/make_image_reference.py {} (./gradlew test does)",
            list.display(),
            folder().display()
        )
    });
    toml::from_str(&text).expect("cases.toml")
}

fn reference(name: &str) -> Vec<f32> {
    let bytes = std::fs::read(folder().join(name)).expect("reference values");
    bytes.chunks_exact(4).map(|four| f32::from_le_bytes(four.try_into().expect("four bytes"))).collect()
}

/// The largest difference of a case in gray levels of the picture, or why there is none.
fn difference(case: &Case) -> Result<f32, String> {
    case.spec.validate()?;
    let (height, width) = case.spec.output_size();
    let channels = case.spec.channels();
    let expected = reference(&case.reference);
    let mut values = vec![f32::NAN; height * width * channels];
    if expected.len() != values.len() {
        return Err(format!("{} values for {height} x {width} x {channels}", expected.len()));
    }
    let bytes = std::fs::read(folder().join(&case.file)).map_err(|error| error.to_string())?;
    prepare_encoded(&bytes, &case.spec, &ImageLimits::default(), &mut values).map_err(|error| error.to_string())?;
    let level = |channel: usize| {
        let std = case.spec.std.as_ref().map_or(1.0, |std| std[channel]);
        (case.spec.scale / std).abs() as f32
    };
    let apart = values.iter().zip(&expected).enumerate().map(|(at, (value, expected))| {
        let apart = (value - expected).abs() / level(at % channels);
        if apart.is_nan() { f32::INFINITY } else { apart }
    });
    Ok(apart.fold(0.0, f32::max))
}

#[test]
fn every_picture_is_prepared_as_pillow_prepares_it() {
    let cases = cases().case;
    assert!(cases.len() > 100, "only {} cases", cases.len());
    // Tolerance for f32 rounding of mean and std, in gray levels.
    let rounding = 0.001;
    let wrong: Vec<String> = cases
        .iter()
        .filter_map(|case| match difference(case) {
            Ok(apart) if apart <= rounding => None,
            Ok(apart) => Some(format!("{} with {:?}: {apart} gray levels apart", case.file, case.spec)),
            Err(error) => Some(format!("{} with {:?}: {error}", case.file, case.spec)),
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

#[test]
fn every_broken_file_names_its_cause() {
    let spec: ImageSpec = toml::from_str("resize = 40\ncrop = 32").expect("spec");
    let mut values = vec![0.0; 32 * 32 * 3];
    for Bad { file, says } in cases().bad {
        let bytes = std::fs::read(folder().join(&file)).expect("broken file");
        let error = prepare_encoded(&bytes, &spec, &ImageLimits::default(), &mut values).expect_err(&file).to_string();
        assert!(error.contains(&says), "{file}: {error:?} does not say {says:?}");
        assert!(error.len() < 300 && !error.contains("/src/"), "{file}: {error:?}");
    }
}

/// Whether the pixels are Pillow's, or, if Pillow rejects the file, whether it is rejected here. A panic fails the test.
fn verdict(picture: &Archived) -> Result<bool, String> {
    let (width, height) = picture.expected.as_ref().map_or((8, 8), |(width, height, _)| (*width, *height));
    let spec: ImageSpec = toml::from_str(&format!("crop = [{height}, {width}]\nscale = 1.0")).expect("a spec");
    let mut values = vec![f32::NAN; height * width * 3];
    let limits = ImageLimits { max_pixels: 1 << 20, ..ImageLimits::default() };
    let prepared = prepare_encoded(&picture.file, &spec, &limits, &mut values).map_err(|error| error.to_string());
    match (&picture.expected, prepared) {
        (None, prepared) => Ok(prepared.is_err()),
        (Some((_, _, pixels)), Ok(_)) => Ok(values.iter().zip(pixels).all(|(value, pixel)| *value == f32::from(*pixel))),
        (Some(_), Err(error)) => Err(error),
    }
}

#[test]
fn every_sound_picture_of_the_archive_has_pillows_pixels() {
    let pictures = archives::read("sound.pictures");
    assert!(pictures.len() > 2000, "only {} pictures", pictures.len());
    let read = pictures.iter().filter(|picture| picture.expected.is_some());
    let wrong: Vec<String> = read
        .filter_map(|picture| match verdict(picture) {
            Ok(true) => None,
            Ok(false) => Some(format!("{}: other pixels", picture.name)),
            Err(error) => Some(format!("{}: {error}", picture.name)),
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), pictures.len(), wrong.join("\n"));
}

/// No damaged file has other pixels than Pillow's. JPEGs are read or rejected exactly as by Pillow. In other formats a file that
/// one side reads may be rejected by the other.
#[test]
fn no_damaged_picture_of_the_archive_has_other_pixels_than_pillows() {
    let pictures = archives::read("damaged.pictures");
    assert!(pictures.len() > 2000, "only {} pictures", pictures.len());
    let wrong: Vec<String> = pictures
        .iter()
        .filter_map(|picture| {
            let strict = picture.name.ends_with(".jpg");
            match (verdict(picture), &picture.expected) {
                (Ok(true), _) => None,
                (Ok(false), None) if !strict => None,
                (Err(_), _) if !strict => None,
                (Ok(false), Some(_)) => Some(format!("{}: other pixels", picture.name)),
                (Ok(false), None) => Some(format!("{}: Pillow refuses it", picture.name)),
                (Err(error), _) => Some(format!("{}: {error}, Pillow reads it", picture.name)),
            }
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), pictures.len(), wrong.join("\n"));
}

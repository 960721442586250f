//! Which variant of a package runs: by processor features, requested precision and recorded cosine.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::PathBuf;

use flambeau_engine::package::Precision;
use flambeau_engine::{Device, ModelOptions, Package};

/// A package of three variants that differ in precision; programs are not opened here.
fn package(name: &str) -> Package {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&folder).unwrap();
    let variant = |file: &str, precision: &str, more: &str| {
        format!("[[variant]]\nfile = \"{file}\"\nengine = \"torchscript\"\nprecision = \"{precision}\"\nsha256 = \"00\"\n{more}\n")
    };
    let text = format!(
        "format = 1\nname = \"three\"\nlicense = \"MIT\"\n[[input]]\nname = \"x\"\nkind = \"tensor\"\n[[output]]\nname = \"y\"\n\
         role = \"other\"\nshape = []\n{}{}{}",
        variant("never.pt", "bf16", "cosine = 0.9999\nrequires = [\"no_such_feature\"]"),
        variant("half.pt", "bf16", "cosine = 0.9995"),
        variant("full.pt", "f32", ""),
    );
    fs::write(folder.join("model.toml"), text).unwrap();
    Package::open(&folder).unwrap()
}

fn asked(precision: &str) -> Precision {
    serde_json::from_value(precision.into()).unwrap()
}

fn chosen_on(device: Device, precision: &str, min_cosine: f64) -> String {
    let options = ModelOptions { precision: asked(precision), min_cosine, device, ..ModelOptions::plain() };
    package(&format!("variants-{device}-{precision}-{min_cosine}")).choose_variant(&options).unwrap().file.clone()
}

fn chosen(precision: &str, min_cosine: f64) -> String {
    chosen_on(Device::Cpu, precision, min_cosine)
}

#[test]
fn what_a_variant_requires_of_a_processor_does_not_matter_on_a_gpu() {
    assert_eq!(chosen_on(Device::Cuda(0), "bf16", 0.999), "never.pt");
    assert_eq!(chosen_on(Device::Cuda(0), "bf16", 0.99999), "full.pt");
}

#[test]
fn reduced_precision_runs_only_when_asked_for_and_faithful() {
    assert_eq!(chosen("f32", 0.0), "full.pt");
    assert_eq!(chosen("bf16", 0.999), "half.pt");
    assert_eq!(chosen("fastest", 0.999), "half.pt");
    assert_eq!(chosen("bf16", 0.9999), "full.pt");
    assert_eq!(chosen("f16", 0.5), "full.pt", "a precision that the package lacks");
}

#[test]
fn an_unknown_precision_is_named_with_the_known_ones() {
    let error = serde_json::from_str::<Precision>("\"int8\"").unwrap_err().to_string();
    assert!(error.contains("unknown variant `int8`, expected one of `f32`, `bf16`, `f16`, `fastest`"), "{error}");
}

//! Finds the shared libraries that `libraries-….txt` lists for the target, checks their hashes, compiles the shim against them and links both.
//!
//! They are in the Pillow wheel of the checkout's `.venv` (`./gradlew venv`), or in the folder that `FLAMBEAU_CODECS` names.
//! Dependents learn the folder as `DEP_FLAMBEAU_CODECS_FOLDER`, for the run path of their tests.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

fn main() {
    println!("cargo:rerun-if-changed=c");
    println!("cargo:rerun-if-changed=vendor");
    println!("cargo:rerun-if-env-changed=FLAMBEAU_CODECS");
    if let Err(problem) = build() {
        println!("cargo:warning={problem:#}");
        std::process::exit(1);
    }
}

fn build() -> Result<()> {
    let architecture = env::var("CARGO_CFG_TARGET_ARCH")?;
    let list_name = format!("libraries-{architecture}.txt");
    println!("cargo:rerun-if-changed={list_name}");
    let list = fs::read_to_string(&list_name).context(list_name.clone())?;
    let libraries: Vec<(&str, &str)> = list.lines().filter(|line| !line.starts_with('#')).filter_map(|line| line.split_once(' ')).collect();
    let folder = folder(&libraries)?;
    cc::Build::new()
        .include("vendor/libjpeg-turbo")
        .flag_if_supported("-fvisibility=hidden")
        .files(["jpeg", "tiff"].map(|name| format!("c/{name}.c")))
        .compile("flambeau_codecs_shim");
    println!("cargo:rustc-link-search=native={}", folder.display());
    for (sha256, name) in &libraries {
        let file = folder.join(name);
        let bytes = fs::read(&file).with_context(|| file.display().to_string())?;
        let mut actual = String::new();
        for byte in Sha256::digest(&bytes) {
            write!(actual, "{byte:02x}")?;
        }
        if actual != *sha256 {
            bail!("{} has the SHA-256 {actual}, {list_name} says {sha256}", file.display());
        }
        println!("cargo:rerun-if-changed={}", file.display());
        if ["libjpeg-", "libtiff-", "libwebp-", "libwebpdemux-"].iter().any(|linked| name.starts_with(linked)) {
            println!("cargo:rustc-link-lib=dylib:+verbatim={name}");
        }
    }
    println!("cargo:folder={}", folder.display());
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", folder.display());
    Ok(())
}

/// The folder of the first library of the list.
fn folder(libraries: &[(&str, &str)]) -> Result<PathBuf> {
    let first = libraries.first().map(|(_, name)| *name).context("the list names no library")?;
    let mut candidates: Vec<PathBuf> = env::var_os("FLAMBEAU_CODECS").map(PathBuf::from).into_iter().collect();
    let pythons = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/lib");
    let found = fs::read_dir(&pythons).into_iter().flatten().flatten();
    candidates.extend(found.map(|python| python.path().join("site-packages/pillow.libs")));
    let folder = candidates.into_iter().find(|folder| folder.join(first).exists());
    let folder = folder.and_then(|folder| folder.canonicalize().ok());
    folder.with_context(|| {
        let place = pythons.display();
        format!("{first} is neither in FLAMBEAU_CODECS nor in a Python below {place}: run ./gradlew venv, which installs Pillow")
    })
}

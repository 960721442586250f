//! CPU milliseconds for preparing a picture on one thread, by folder of pictures.
//!
//! `cargo run --release -p flambeau-media --example pictures -- FOLDER…` prepares every picture of each folder for
//! EfficientNet-Lite0 in several rounds. It prints a line per folder: the best round of the whole preparation, of resizing alone
//! (from raw pixels), and their difference, the time of decoding. `bench/images/pictures.py` makes folders, runs this and adds
//! Pillow's times.

#![allow(clippy::expect_used, clippy::print_stdout, missing_docs, reason = "a program for people who measure")]

use std::path::Path;

use flambeau_media::image::{ImageLimits, ImageSpec, PixelView, prepare_encoded, prepare_pixels};

const ROUNDS: usize = 7;
const SPEC: &str =
    "resize = 256\ncrop = 224\ninterpolation = 'bicubic'\nscale = 1.0\nmean = [127.0, 127.0, 127.0]\nstd = [128.0, 128.0, 128.0]";

fn main() {
    let spec: ImageSpec = toml::from_str(SPEC).expect("a spec");
    println!("{:<24} {:>6} {:>9} {:>9} {:>9}   ms a picture, one thread, best of {ROUNDS}", "folder", "files", "whole", "resize", "decode");
    for folder in std::env::args().skip(1).filter(|argument| !argument.starts_with('-')) {
        measure(Path::new(&folder), &spec);
    }
}

fn measure(folder: &Path, spec: &ImageSpec) {
    let mut paths: Vec<_> = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    paths.sort();
    let files: Vec<Vec<u8>> = paths.iter().map(|path| std::fs::read(path).expect("a file")).collect();
    let mut out = vec![0.0; 224 * 224 * 3];
    let limits = ImageLimits::default();
    let whole = best(files.len(), || {
        for file in &files {
            prepare_encoded(file, spec, &limits, &mut out).expect("a picture");
        }
    });
    let raw: Vec<(i32, i32, Vec<u8>)> = files.iter().take(8).map(|file| pixels(file)).collect();
    let resize = best(raw.len(), || {
        for (width, height, data) in &raw {
            let view = PixelView { height: *height, width: *width, channels: 3, data };
            prepare_pixels(&view, spec, &limits, &mut out).expect("pixels");
        }
    });
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    println!("{name:<24} {:>6} {whole:>9.3} {resize:>9.3} {:>9.3}", files.len(), whole - resize);
}

/// The shortest of the rounds, in milliseconds per picture.
fn best(pictures: usize, mut round: impl FnMut()) -> f64 {
    // The kernel counts in steps of some milliseconds.
    let again = 100_usize.div_ceil(pictures);
    let times = (0..ROUNDS).map(|_| {
        let start = processor_ns();
        (0..again).for_each(|_| round());
        (processor_ns() - start) as f64 / 1e6 / (again * pictures) as f64
    });
    times.fold(f64::INFINITY, f64::min)
}

/// CPU time of this thread so far, in nanoseconds. Other work on the machine is not counted.
fn processor_ns() -> u64 {
    let counts = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    counts.split(' ').next().and_then(|first| first.parse().ok()).expect("a number")
}

/// Width, height and BGR bytes.
fn pixels(file: &[u8]) -> (i32, i32, Vec<u8>) {
    let picture = image::load_from_memory(file).expect("a picture").to_rgb8();
    let bgr = picture.pixels().flat_map(|pixel| [pixel[2], pixel[1], pixel[0]]).collect();
    (picture.width() as i32, picture.height() as i32, bgr)
}

//! Compiles the C++ shim against the same libtorch that torch-sys found.
//!
//! All files are one translation unit: most of the time goes into libtorch's headers, which are read once then, not sixteen times. So a
//! name in an anonymous namespace must be in one file only.

use std::path::Path;
use std::{env, fs, io};

/// Every `.cpp` of this folder.
const FILES: [&str; 16] = [
    "aot",
    "archive",
    "attention",
    "device",
    "fused",
    "group",
    "module",
    "optimizer",
    "pack",
    "pads",
    "process",
    "tails",
    "tensors",
    "trainable",
    "trap",
    "vision",
];

fn main() -> io::Result<()> {
    println!("cargo:rerun-if-changed=.");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Ok(root) = env::var("LIBTORCH") else {
        println!("cargo:warning=LIBTORCH is not set: run ./gradlew libtorch, then cargo from the repository's root");
        std::process::exit(1);
    };
    let unit = Path::new(&env::var("OUT_DIR").map_err(io::Error::other)?).join("all.cpp");
    fs::write(&unit, FILES.map(|name| format!("#include \"{name}.cpp\"\n")).concat())?;
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        // It mostly calls libtorch: optimizing it more is not worth minutes of every build.
        .opt_level(1)
        .debug(false)
        .flag_if_supported("-fvisibility=hidden")
        .flag("-D_GLIBCXX_USE_CXX11_ABI=1")
        .flag("-Wno-unused-parameter")
        .flag("-Wno-sign-compare")
        // False alarms about reference counts of libtorch's headers.
        .flag_if_supported("-Wno-stringop-overflow")
        .flag("-isystem")
        .flag(format!("{root}/include"))
        .flag("-isystem")
        .flag(format!("{root}/include/torch/csrc/api/include"))
        .flag("-isystem")
        .flag("opaque")
        .define("USE_DISTRIBUTED", None)
        .define("USE_C10D_GLOO", None)
        // The compiler runs in this folder.
        .flag("-iquote")
        .flag(".")
        .file(unit)
        .compile("flambeau_torch_ext");
    Ok(())
}

//! Compiles the C++ shim against the same libtorch that torch-sys found.

use std::env;

fn main() {
    println!("cargo:rerun-if-changed=.");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Ok(root) = env::var("LIBTORCH") else {
        println!("cargo:warning=LIBTORCH is not set: run ./gradlew libtorch, then cargo from the repository's root");
        std::process::exit(1);
    };
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
        .files(
            [
                "aot",
                "archive",
                "attention",
                "device",
                "module",
                "fused",
                "pack",
                "pads",
                "process",
                "tails",
                "tensors",
                "trainable",
                "trap",
                "vision",
                "optimizer",
                "group",
            ]
            .map(|name| format!("{name}.cpp")),
        )
        .compile("flambeau_torch_ext");
}

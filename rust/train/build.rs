//! Lets this crate's tests and benches find libtorch and the codecs where they were linked; the library that ships finds it by other means.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if let Ok(root) = std::env::var("LIBTORCH") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{root}/lib");
    }
    if let Ok(folder) = std::env::var("DEP_FLAMBEAU_CODECS_FOLDER") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}

//! Lets this crate's tests and benches find the codecs where they were linked; the library that ships finds them by other means.

fn main() {
    if let Ok(folder) = std::env::var("DEP_FLAMBEAU_CODECS_FOLDER") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}

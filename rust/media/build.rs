//! Lets this crate's tests and benches find the codecs that they were linked with; the published library finds them in another way.

fn main() {
    if let Ok(folder) = std::env::var("DEP_FLAMBEAU_CODECS_FOLDER") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}

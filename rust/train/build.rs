//! Lets this crate's tests and benches find libtorch and the codecs that they were linked with; the published library finds them
//! in another way.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    if let Ok(root) = std::env::var("LIBTORCH") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{root}/lib");
    }
    if let Ok(folder) = std::env::var("DEP_FLAMBEAU_CODECS_FOLDER") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{folder}");
    }
}

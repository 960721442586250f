//! The C++ of `flambeau-torch-ext`, as a crate of its own: `build.rs` compiles it, `rust/torch-ext/src/ffi.rs` declares it.
//!
//! It is no member of the workspace. Cargo runs the build scripts of members again for clippy, and for each set of features; that of a
//! dependency runs once, and this one takes minutes.

//! The JNI side of the one boundary between the JVM and native code; the only crate that knows `jni`.
//!
//! - `exports`: the table of native methods of `io.flambeau.bridge.NativeBridge`, and their bodies;
//! - `training`: the bodies of those that train;
//! - `handles`: what the JVM holds as a number: models, sessions, feeds, groups, trainers;
//! - `arrow`: C Data structs, taken from the JVM and given to it;
//! - `failure`: every error and panic as one Java exception;
//! - `jlog`: Rust's `log` into the JVM's.
//!
//! Who owns what: a struct's content is ours from the moment it is taken, and drops on the calling thread; results are the
//! JVM's once written. Threads: every export runs on the JVM's calling thread; no thread is ever attached from here.

mod arrow;
mod exports;
mod failure;
mod handles;
mod jlog;
mod training;

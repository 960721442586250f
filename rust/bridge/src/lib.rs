//! The JNI side of the one boundary between the JVM and native code; the only crate that knows `jni`.
//!
//! - `exports`: the table of native methods of `io.flambeau.bridge.NativeBridge`, and their bodies;
//! - `answer`: arguments and results as JSON;
//! - `training`: the bodies of the methods that train;
//! - `nearest`: those that search for nearest neighbors;
//! - `handles`: objects that the JVM refers to by a number: models, sessions, datasets, groups, trainers, searches;
//! - `arrow`: C Data structs, taken from the JVM and given to it;
//! - `failure`: every error and panic as one Java exception;
//! - `jlog`: Rust's `log` into the JVM's.
//!
//! Who owns what: a struct's content belongs to this side once it is taken, and is dropped on the calling thread; results belong
//! to the JVM once they are written. Threads: every export runs on the JVM's calling thread; no thread is ever attached from
//! here.

mod answer;
mod arrow;
mod exports;
mod failure;
mod handles;
mod jlog;
mod nearest;
mod training;

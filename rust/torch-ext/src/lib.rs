//! The part of libtorch that `tch` does not reach, behind safe types.
//!
//! Three nouns live here: [`ScriptModule`], a TorchScript program frozen and optimised for inference; [`Outputs`], what one
//! forward pass returned; [`TorchError`], any C++ failure as a value. `process` holds settings of the whole process.
//!
//! Ownership: a `ScriptModule` owns its C++ module and is shared between threads by reference (`forward` takes `&self`);
//! `Outputs` owns tensors. No C++ exception crosses into Rust: each C function catches all and fills an error struct.

mod error;
mod ffi;
mod module;
pub mod process;

pub use error::TorchError;
pub use module::{Outputs, ScriptModule};

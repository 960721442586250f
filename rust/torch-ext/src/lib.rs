//! The parts of libtorch that `tch` lacks, behind safe types.
//!
//! For inference: [`ScriptModule`], a TorchScript program frozen and optimized; [`FusedModule`], the same with oneDNN's kernels;
//! [`AotModule`], machine code compiled ahead of time; [`Outputs`], the results of one forward pass; [`Device`], where it runs.
//!
//! For training: [`Trainable`], a module whose parameters change. [`flatten`] puts
//! them into one vector for an [`Optimizer`] (`torch::optim`). [`Group`]: ranks that add up tensors (c10d over Gloo) and find one
//! another by a [`Board`]. [`TorchError`] is any C++ failure as a value, and `process` holds settings of the whole process.
//!
//! Ownership: a `ScriptModule` owns its C++ module and is shared between threads by reference (`forward` takes `&self`);
//! `Outputs` owns tensors; types for training belong to one thread at a time. No C++ exception crosses into Rust: each C function
//! catches all and fills an error struct.

// Linked for its C++ alone.
use flambeau_torch_cpp as _;

mod aot;
mod archive;
mod cstring;
mod device;
mod error;
mod ffi;
mod fused;
mod generator;
mod group;
mod module;
mod optimizer;
pub mod process;
mod tensors;
mod trainable;

pub use aot::AotModule;
pub use archive::Archive;
pub use device::{Device, OnDevice};
pub use error::TorchError;
pub use fused::FusedModule;
pub use generator::Generator;
pub use group::{Board, Group, JoinError, Pending};
pub use module::{AttachedHead, Outputs, ScriptModule};
pub use optimizer::{Optimizer, OptimizerKind, OptimizerOptions};
pub use tensors::is_alone;
pub use trainable::{Flat, Trainable, flatten, flatten_into};

//! The engine: a model package in, results out. It knows libtorch and Arrow, but neither the JVM nor Spark.
//!
//! How a batch is evaluated: a [`Session`] (one per task, bound to one input schema and a list of requested outputs) stages every
//! input column on the decode pool (see [`prepare`]). Images are decoded and resized, texts tokenized, and tensors gathered. Then
//! it plans forward passes and runs the [`Model`], which all sessions of the process share ([`registry`]). It makes one Arrow
//! column per request ([`results`](crate::session)).
//!
//! [`nearest`] needs no model: exact nearest neighbors of vectors, by products of matrices.
//!
//! Pure preparation is in `flambeau-media`. Training is in `flambeau-train`. It uses the lower half of this crate (errors,
//! packages, preparation, the pool, tensors' memory), but neither sessions nor models.
//!
//! Who owns what: the registry owns models; a session holds its model by `Arc` and owns nothing else that outlives a call.
//! Threads: a session belongs to one thread; rows are prepared on the shared pool, and passes run on spare cores too
//! (`spare`). Neither outlives the call.

mod cpu;
mod engine;
pub mod error;
pub mod faults;
pub mod memory;
mod model;
pub mod nearest;
mod options;
mod pace;
pub mod package;
pub mod pool;
pub mod prepare;
pub mod registry;
mod session;
mod spare;
mod start;
pub mod stats;

pub use engine::{EngineName, allow_machine_code, keep_choices};
pub use error::{EngineError, RowError};
pub use flambeau_torch_ext::Device;
pub use model::{Model, ModelFacts};
pub use options::{ModelOptions, WantedEngine};
pub use package::Package;
pub use session::{BadRowCause, Counters, OutputRequest, Request, Session, Task};
pub use start::StartSpec;

//! The engine: a model package in, results out. It knows libtorch and Arrow, but no JVM and no word of Spark.
//!
//! The way of one batch: a [`Session`] (one per task, bound to one input schema and a list of requested outputs) stages
//! every input column ([`prepare`]: images decoded and resized, texts tokenized, tensors gathered, on the decode pool),
//! plans forward passes, runs the [`Model`] (one per process, shared by all sessions, kept by [`registry`]) and makes one
//! Arrow column per request ([`results`](crate::session)).
//!
//! Pure preparation is in `flambeau-media`. Training is in `flambeau-train`, which stands on the lower half of this crate (errors,
//! packages, preparation, the pool, tensors' memory) and knows neither sessions nor models.
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

pub use engine::{EngineName, keep_choices};
pub use error::{EngineError, RowFault};
pub use model::Model;
pub use options::{ModelOptions, WantedEngine};
pub use package::Package;
pub use session::{Counters, OutputRequest, Request, Session, Task};
pub use start::StartSpec;

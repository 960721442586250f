//! Training: rows into a feed, a program trained step by step, a package out. It uses the engine's errors, packages, preparation
//! and decode pool, but no sessions, loaded models or JVM.
//!
//! - `spec`: the specification of a training. `feed`: one worker's rows, in an Arrow IPC file that is mapped into memory.
//! - `order`: which rows make which batch, in every epoch, whatever the number of workers; `deal`: which are a worker's, and
//!   which validate. `batch`: a batch's tensors, and those of the next one, made on the decode pool if rows must be decoded;
//!   `pictures`: prepared pictures on disk. `augment`: random changes of images. `budget`: the memory that is needed, computed in
//!   advance.
//! - `program`: the trained program: a `head` made here, or the program of a package. `pass`, `slope`: a step of heads by hand.
//!   `loss`, `schedule`: as PyTorch's.
//! - `ranks`: the workers, and sums over all of them; `room`: those of one process; `board`: how they find one another.
//!   `trainer`: a training; `epoch`: its ends; `clock`: its time; `stack`: the loop, and several heads that step together.
//!   `evaluate`, `metrics`: validation rows.
//! - `checkpoint`: an exact continuation as a file; `settings`: values that it may not change. `publish`: the result as a
//!   package. `groups`: many small heads at once.
//!
//! Who owns what: the JVM holds a feed, a group and stacks of trainers; a trainer keeps its feed and group alive by `Arc`. The feed's
//! file is deleted when the last of them is dropped. Parameters are views of one flat vector and their gradients of another, so
//! that a sum over all workers, clipping and the optimizer each work on one tensor.
//!
//! Threads: everything runs on the task's thread, one stack at a time for each feed and group. The exceptions are decoding of the
//! next batch (on the decode pool), Gloo's own threads (they end with the group), and `cancel`, which any thread may call. A
//! trainer waits for decoding before it is dropped.
//!
//! Why W workers give the same result as one: a batch is the same set of rows for every W. Each worker adds up the *weighted sum*
//! of its rows' losses. Gradients, loss and weights are summed over the workers in one all-reduce, and all divide by the same sum
//! of weights. A worker without rows adds zeros. Only batch normalization uses a worker's own rows: its running statistics are
//! averaged over the workers at the end of each epoch.

mod augment;
mod batch;
mod board;
mod budget;
mod checkpoint;
mod clock;
mod deal;
mod epoch;
mod evaluate;
mod feed;
mod groups;
mod head;
mod loss;
mod metrics;
mod order;
mod pass;
mod patterns;
mod pictures;
mod program;
mod publish;
mod random;
mod ranks;
mod room;
mod schedule;
mod settings;
mod slope;
pub mod spec;
mod stack;
mod steps;
mod trainer;

pub use board::Board;
pub use feed::{DenseSpec, Feed, FeedSpec, FeedSummary, Skipped, TrialSpec};
pub use groups::{GroupsSpec, train_groups};
pub use program::check_program;
pub use publish::PublishSpec;
pub use ranks::{GroupSpec, Ranks};
pub use stack::Stack;
pub use trainer::{EpochRow, Event, Progress, Trainer};

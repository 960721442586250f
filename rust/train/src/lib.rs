//! Training: rows into a dataset, a program trained step by step, a package out. It uses the engine's errors, packages, preparation
//! and decode pool, but no sessions, loaded models or JVM.
//!
//! - `spec`, `groups_spec`: the specification of a training. `dataset`: one worker's rows, in an Arrow IPC file that is mapped into memory.
//! - `sampler`: which rows make which batch, in every epoch, whatever the number of workers; `split`: which are a worker's, and
//!   which validate. `inputs`: a batch's tensors; `loader`: a worker's batches, the next one made on the decode pool if rows must
//!   be decoded. `image_cache`: prepared pictures on disk; `own_file`: a file that is deleted with its owner. `augment`: random
//!   changes of images. `budget`: the memory that is needed, computed in advance.
//! - `program`: the trained program: a `head` made here, or the program of a package. `batched_heads`: forward and backward of heads.
//!   `loss`, `loss_gradient`, `schedule`: as PyTorch's. `flat_params`: parameters, gradients and the optimizer.
//! - `process_group`: the workers, and sums over all of them; `local_group`: those of one process; `board`: how they find one another.
//! - `training_loop`: the loop. `state`: one training; `step`, `epoch`, `evaluate`, `checkpoint`, `export`: functions of its state.
//!   `parameter_maps`: several heads that step together; `grouped_heads`, `group_sampler`: a head for each group of rows. `together`:
//!   who steps together. `step_timer`: the time of steps; `metrics`: of validation rows; `progress`: reports.
//! - `settings`: values that a continuation may not change.
//!
//! Who owns what: the JVM holds a dataset, a group and training loops; a loop keeps its dataset and group alive by `Arc`. The dataset's
//! file is deleted when the last of them is dropped. Parameters are views of one flat vector and their gradients of another, so
//! that a sum over all workers, clipping and the optimizer each work on one tensor.
//!
//! Threads: everything runs on the task's thread, one loop at a time for each dataset and group. The exceptions are decoding of the
//! next batch (on the decode pool), Gloo's own threads (they end with the group), and `cancel`, which any thread may call. A
//! loop waits for decoding before it is dropped.
//!
//! Why W workers give the same result as one: a batch is the same set of rows for every W. Each worker adds up the *weighted sum*
//! of its rows' losses. Gradients, loss and weights are summed over the workers in one all-reduce, and all divide by the same sum
//! of weights. A worker without rows adds zeros. Only batch normalization uses a worker's own rows: its running statistics are
//! averaged over the workers at the end of each epoch.

mod augment;
mod batched_heads;
mod board;
mod budget;
mod checkpoint;
mod dataset;
mod epoch;
mod evaluate;
mod export;
mod flat_params;
mod group_sampler;
mod grouped_heads;
mod groups_spec;
mod head;
mod image_cache;
mod inputs;
mod loader;
mod local_group;
mod loss;
mod loss_gradient;
mod metrics;
mod own_file;
mod param_filter;
mod param_groups;
mod parameter_maps;
mod process_group;
mod program;
mod progress;
mod random;
mod sampler;
mod schedule;
mod settings;
pub mod spec;
mod split;
mod state;
mod step;
mod step_timer;
mod together;
mod training_loop;

pub use board::Board;
pub use dataset::{DatasetSpec, DatasetSummary, DenseSpec, Skipped, TrainingDataset, TrialSpec};
pub use export::ExportSpec;
pub use grouped_heads::train_groups;
pub use groups_spec::GroupsSpec;
pub use process_group::{ProcessGroup, ProcessGroupSpec};
pub use program::check_program;
pub use progress::{EpochRow, Event, Progress};
pub use together::trainings as trainings_together;
pub use training_loop::TrainingLoop;

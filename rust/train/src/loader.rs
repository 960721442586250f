//! A worker's batches: rows by the sampler, tensors by the input pipeline. Where rows must be decoded, the next batch is made on the
//! decode pool while the step runs.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};

use flambeau_engine::{EngineError, pool};
use tch::Tensor;

use super::inputs::InputPipeline;
use super::sampler::LocalBatch;
use super::split::DataSplit;

/// A worker's part of a batch, ready for the step.
pub(super) struct Batch {
    pub(super) part: LocalBatch,
    /// Empty if the part is empty.
    pub(super) inputs: Vec<Tensor>,
}

/// See the module.
pub(super) struct Loader {
    inputs: Arc<InputPipeline>,
    split: Arc<DataSplit>,
    epochs: usize,
    prefetched: Option<Prefetched>,
}

/// A batch that is being made on the decode pool.
struct Prefetched {
    /// Epoch and batch.
    key: (usize, usize),
    result: Receiver<Result<Batch, EngineError>>,
}

impl Loader {
    /// For this many epochs.
    pub(super) fn new(inputs: Arc<InputPipeline>, split: Arc<DataSplit>, epochs: usize) -> Self {
        Self { inputs, split, epochs, prefetched: None }
    }

    /// A batch of an epoch, and the next one begun where rows are decoded.
    pub(super) fn batch(&mut self, epoch: usize, batch: usize) -> Result<Batch, EngineError> {
        let found = match self.take(epoch, batch) {
            Some(made) => made?,
            None => make(&self.inputs, self.split.part(epoch, batch), epoch)?,
        };
        if self.inputs.decodes() {
            let next = if batch + 1 < self.split.batches { (epoch, batch + 1) } else { (epoch + 1, 0) };
            if next.0 < self.epochs {
                self.prefetch(next);
            }
        }
        Ok(found)
    }

    fn prefetch(&mut self, key: (usize, usize)) {
        let (sender, result) = sync_channel(1);
        let (inputs, part) = (self.inputs.clone(), self.split.part(key.0, key.1));
        pool::spawn(move || {
            // The receiver is gone only if the batch is not needed any more.
            let _ = sender.send(make(&inputs, part, key.0));
        });
        self.prefetched = Some(Prefetched { key, result });
    }

    /// The batch, once it is made; None if there is none, or another one.
    fn take(&mut self, epoch: usize, batch: usize) -> Option<Result<Batch, EngineError>> {
        let prefetched = self.prefetched.take()?;
        let lost = || Err(EngineError::Internal("a batch was lost on the decode pool".into()));
        let made = prefetched.result.recv().unwrap_or_else(|_| lost());
        (prefetched.key == (epoch, batch)).then_some(made)
    }

    /// Waits for the next batch and drops it, so that it does not outlive the loader.
    pub(super) fn drop_prefetched(&mut self) {
        if let Some(prefetched) = self.prefetched.take() {
            let _ = prefetched.result.recv();
        }
    }
}

impl Drop for Loader {
    fn drop(&mut self) {
        self.drop_prefetched();
    }
}

/// Makes a batch on the calling thread.
fn make(inputs: &InputPipeline, part: LocalBatch, epoch: usize) -> Result<Batch, EngineError> {
    let tensors = if part.rows.is_empty() { Vec::new() } else { inputs.tensors(&part.rows, Some(epoch))? };
    Ok(Batch { part, inputs: tensors })
}

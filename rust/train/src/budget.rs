//! The memory that a training needs, computed before it is allocated.
//!
//! Sizes come from parameters (`hiddenLayers`, `batchSize`) and from the data (labels, features), which may be wrong. If they
//! cannot fit, that is an error that names them, before anything is allocated. The limit is the least of three: the machine's
//! free memory, the free memory of the process's control group, and the memory that Spark granted the executor's container.

use flambeau_engine::EngineError;
use flambeau_torch_ext::{TorchError, process};

use super::head::widths;
use super::spec::{HeadSpec, TrainingSpec};

/// Bytes of a parameter: its value twice while it is made, its gradient, an optimizer's two moments and the best value so far.
const PARAMETER_BYTES: u128 = 24;
/// Copies of a layer's values that are in memory at a time.
const ACTIVATION_BYTES: u128 = 12;

/// A head's parameters.
pub(super) fn parameters(head: &HeadSpec) -> u128 {
    widths(head).into_iter().map(|(from, to)| (from as u128 + 1).saturating_mul(to as u128)).fold(0, u128::saturating_add)
}

/// Whether a head's parameters fit. `granted`: total bytes of the process, if there is a limit besides the machine's.
///
/// # Errors
/// They do not.
pub(super) fn check_head(head: &HeadSpec, granted: Option<u64>) -> Result<(), EngineError> {
    let parameters = parameters(head);
    let wanted = parameters.saturating_mul(PARAMETER_BYTES);
    refuse_beyond(
        wanted,
        granted,
        || {
            format!(
                "hiddenLayers {:?} between {} features and {} outputs make {parameters} parameters: with gradients and the optimizer's state about {}",
                head.hidden,
                head.inputs,
                head.outputs,
                gigabytes(wanted)
            )
        },
        "make hiddenLayers smaller; there is one output for each class, up to the largest label or as the label column's metadata say",
    )
}

/// An empty list with capacity for this many values.
///
/// # Errors
/// There is no memory for them.
pub(super) fn reserve<T>(count: usize, what: &str) -> Result<Vec<T>, EngineError> {
    let mut list = Vec::new();
    list.try_reserve_exact(count).map_err(|_| {
        let bytes = count as u128 * size_of::<T>() as u128;
        EngineError::torch("training", TorchError::OutOfMemory(format!("there is no memory for {what}: {bytes} bytes")))
    })?;
    Ok(list)
}

/// Whether a worker's part of a batch fits: its inputs, and a head's layers over it. `rows`: of this worker. `row_bytes`: of the
/// inputs of a row. `copies`: 2 if the next batch is made while this one is used.
///
/// # Errors
/// It does not.
pub(super) fn check_batch(spec: &TrainingSpec, row_bytes: u64, copies: u8, rows: usize) -> Result<(), EngineError> {
    let part = spec.batch_rows.min(rows);
    let pass = spec.micro_batch_rows.map_or(part, |micro| micro.min(part));
    let features = (part as u128).saturating_mul(u128::from(row_bytes)).saturating_mul(u128::from(copies));
    let layers: u128 = spec.program.head.as_ref().map_or(0, |head| widths(head).iter().map(|(_, to)| *to as u128).sum());
    let passes = (pass as u128).saturating_mul(layers).saturating_mul(ACTIVATION_BYTES);
    let wanted = features.saturating_add(passes);
    refuse_beyond(wanted, spec.memory_bytes, || format!("{part} rows of a batch need about {}", gigabytes(wanted)), "lower batchSize")
}

fn refuse_beyond(wanted: u128, granted: Option<u64>, what: impl FnOnce() -> String, advice: &str) -> Result<(), EngineError> {
    let free = u128::from(process::available_bytes());
    let most = granted.map_or(free, |granted| free.min(u128::from(granted)));
    if wanted <= most {
        return Ok(());
    }
    let whose = if most < free { "Spark grants this executor" } else { "this machine has free" };
    Err(EngineError::BadRequest(format!("{}, and {whose} {}; {advice}", what(), gigabytes(most))))
}

fn gigabytes(bytes: u128) -> String {
    const MEGABYTE: u128 = 1 << 20;
    if bytes < 1024 * MEGABYTE { format!("{} MB", bytes / MEGABYTE) } else { format!("{} GB", bytes / (1024 * MEGABYTE)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(hidden: Vec<usize>, outputs: usize) -> HeadSpec {
        HeadSpec { inputs: 4, outputs, hidden, activation: crate::spec::HeadActivation::Relu, dropout: 0.0 }
    }

    #[test]
    fn what_cannot_fit_is_refused_by_its_name() {
        assert_eq!(parameters(&head(vec![8], 3)), 4 * 8 + 8 + 8 * 3 + 3);
        assert!(check_head(&head(vec![8], 3), None).is_ok());
        for huge in [head(vec![2_000_000_000; 2], 3), head(vec![usize::MAX; 3], usize::MAX), head(vec![], 2_000_000_000_000)] {
            let error = check_head(&huge, None).unwrap_err();
            assert_eq!(error.kind(), "bad_request");
            assert!(error.to_string().starts_with("hiddenLayers ["), "{error}");
        }
    }

    #[test]
    fn what_spark_grants_counts_too() {
        let error = check_head(&head(vec![1000], 1000), Some(1 << 20)).unwrap_err().to_string();
        assert!(error.contains("Spark grants this executor 1 MB"), "{error}");
    }
}

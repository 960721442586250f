//! The few shapes that passes of images have, so that an engine's plans fit them.
//!
//! A pass of `n` rows is padded to the next power of two, by its last row once more; the results of the padding are dropped. With
//! the four images of a full pass there are three shapes at most, and only the last pass of a batch is ever padded: a batch of 32
//! is filled wholly, one of 30 by 30 of 30, one of 31 by 31 of 32. A shape's plan is made before its first pass, by one task while
//! others wait; that of a full pass when the model is loaded.

use std::sync::{Mutex, PoisonError, RwLock};

use tch::Tensor;

use super::Engine;
use crate::pace::IMAGE_PASS_ROWS;
use crate::prepare::Preparer;

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct PassShapes {
    planned: RwLock<Vec<usize>>,
    making: Mutex<()>,
}

impl PassShapes {
    /// Rows that a pass of `rows` rows is to have, with a plan for them.
    pub(crate) fn padded(&self, model: &str, engine: &dyn Engine, preparers: &[Preparer], rows: usize) -> usize {
        if rows > IMAGE_PASS_ROWS || !are_planned(engine, preparers) {
            return rows;
        }
        let padded = rows.next_power_of_two();
        if !self.is_planned(padded) {
            let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
            if !self.is_planned(padded) {
                plan(model, engine, preparers, padded);
                self.planned.write().unwrap_or_else(PoisonError::into_inner).push(padded);
            }
        }
        padded
    }

    fn is_planned(&self, rows: usize) -> bool {
        self.planned.read().unwrap_or_else(PoisonError::into_inner).contains(&rows)
    }
}

/// Whether passes of this engine over these inputs have plans.
pub(super) fn are_planned(engine: &dyn Engine, preparers: &[Preparer]) -> bool {
    engine.has_plans() && preparers.iter().all(Preparer::is_image)
}

/// A program that fails for the sample is not at fault: its passes run without a plan, and say what is wrong.
fn plan(model: &str, engine: &dyn Engine, preparers: &[Preparer], rows: usize) {
    let made = sample(preparers, rows).and_then(|inputs| engine.plan(&inputs).map_err(|error| error.to_string()));
    if let Err(cause) = made {
        log::warn!("model '{model}' runs without a plan for passes of {rows} rows: {cause}");
    }
}

/// Inputs for a pass of `rows` rows as the preparers would make them, of made-up content.
pub(super) fn sample(preparers: &[Preparer], rows: usize) -> Result<Vec<Tensor>, String> {
    let mut inputs = Vec::new();
    for preparer in preparers {
        inputs.extend(preparer.sample(rows)?);
    }
    Ok(inputs)
}

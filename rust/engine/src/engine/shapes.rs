//! The few shapes that passes of images have, so that an engine's plans fit them.
//!
//! A pass of `n` rows is padded to the next power of two with copies of its last row; the results of the padding are dropped.
//! With the four images of a full pass there are at most three shapes. Only the last pass of a batch is padded: a batch of 30 or
//! 32 rows needs no padding, one of 31 gets one row. A shape's plan is made before its first pass, by one task while others wait;
//! the plan of a full pass is made when the model is loaded.

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
    /// The number of rows that a pass of `rows` rows is padded to, with a plan for it.
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

/// It is not an error if a program fails for the sample: its passes run without a plan and report what is wrong.
fn plan(model: &str, engine: &dyn Engine, preparers: &[Preparer], rows: usize) {
    let made = sample(preparers, rows).and_then(|inputs| engine.plan(&inputs).map_err(|error| error.to_string()));
    if let Err(cause) = made {
        log::warn!("model '{model}' runs without a plan for passes of {rows} rows: {cause}");
    }
}

/// Inputs for a pass of `rows` rows as the preparers would make them, with generated content.
pub(super) fn sample(preparers: &[Preparer], rows: usize) -> Result<Vec<Tensor>, String> {
    let mut inputs = Vec::new();
    for preparer in preparers {
        inputs.extend(preparer.sample(rows)?);
    }
    Ok(inputs)
}

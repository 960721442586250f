//! An exact continuation as one file: parameters, buffers, the optimiser's state, the position, and the best so far.
//!
//! The file is an archive of named tensors, as `torch::save` writes it; the position is JSON in one of them. It is written
//! beside its name and renamed, so that it is complete or not there. Nothing else needs to be kept: the order of rows, dropout
//! and augmentation are functions of seed, epoch, step and row.

use std::collections::HashMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::Tensor;

use super::trainer::{Best, Position, Trainer};
use crate::{EngineError, memory};

const FORMAT: u32 = 1;

#[derive(Serialize, Deserialize)]
struct Header {
    format: u32,
    fingerprint: String,
    position: Position,
}

impl Trainer {
    /// Writes a checkpoint.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn save_checkpoint(&self, file: &Path) -> Result<(), EngineError> {
        let torch = |error: tch::TchError| EngineError::torch(&self.program.name, error);
        let header = Header { format: FORMAT, fingerprint: self.fingerprint(), position: self.position.clone() };
        let header = serde_json::to_vec(&header).map_err(|error| EngineError::Internal(error.to_string()))?;
        let optimizer = self.parameters.optimizer.save().map_err(|error| EngineError::torch(&self.program.name, error))?;
        let mut tensors = vec![
            ("header".to_owned(), Tensor::f_from_slice(&header).map_err(torch)?),
            ("optimizer".to_owned(), Tensor::f_from_slice(&optimizer).map_err(torch)?),
            ("values".to_owned(), self.parameters.flat.values.shallow_clone()),
        ];
        tensors.extend(self.program.buffers.iter().enumerate().map(|(i, (_, t))| (format!("buffer_{i}"), t.shallow_clone())));
        if let Some(best) = &self.best {
            tensors.push(("best_values".to_owned(), best.values.shallow_clone()));
            tensors.extend(best.buffers.iter().enumerate().map(|(i, t)| (format!("best_buffer_{i}"), t.shallow_clone())));
        }
        let fail = |error: std::io::Error| EngineError::BadRequest(format!("the checkpoint {} cannot be written: {error}", file.display()));
        let partial = file.with_extension("part");
        Tensor::save_multi(&tensors, &partial).map_err(torch)?;
        std::fs::File::open(&partial).and_then(|f| f.sync_all()).map_err(fail)?;
        std::fs::rename(&partial, file).map_err(fail)
    }

    /// Continues where the checkpoint was made.
    ///
    /// # Errors
    /// A file that is damaged, or of another training.
    pub fn restore_checkpoint(&mut self, file: &Path) -> Result<(), EngineError> {
        let refuse = |cause: String| EngineError::BadRequest(format!("the checkpoint {} cannot be used: {cause}", file.display()));
        let tensors = Tensor::load_multi(file).map_err(|error| refuse(crate::error::text_of(error)))?;
        let mut tensors: HashMap<String, Tensor> = tensors.into_iter().collect();
        let bytes = |tensor: Option<&Tensor>, name: &str| {
            tensor.and_then(memory::values::<u8>).map(<[u8]>::to_vec).ok_or_else(|| refuse(format!("it has no {name}")))
        };
        let header: Header = serde_json::from_slice(&bytes(tensors.get("header"), "header")?).map_err(|error| refuse(error.to_string()))?;
        if header.format != FORMAT {
            return Err(refuse(format!("its format is {}, this version reads {FORMAT}", header.format)));
        }
        let own = self.fingerprint();
        if header.fingerprint != own {
            return Err(refuse(format!("it is of another training: {}; this one is: {own}", header.fingerprint)));
        }
        let optimizer = bytes(tensors.get("optimizer"), "optimizer")?;
        let buffers = |tensors: &mut HashMap<String, Tensor>, prefix: &str, count: usize| -> Result<Vec<Tensor>, EngineError> {
            (0..count).map(|i| tensors.remove(&format!("{prefix}{i}")).ok_or_else(|| refuse(format!("it has no {prefix}{i}")))).collect()
        };
        let count = self.program.buffers.len();
        let values = tensors.remove("values").ok_or_else(|| refuse("it has no values".into()))?;
        let kept = buffers(&mut tensors, "buffer_", count)?;
        let best = match tensors.remove("best_values") {
            Some(values) => Some(Best { values, buffers: buffers(&mut tensors, "best_buffer_", count)? }),
            None => None,
        };
        self.forget_ahead();
        let copied = tch::no_grad(|| {
            self.parameters.flat.values.f_copy_(&values)?;
            for ((_, buffer), kept) in self.program.buffers.iter_mut().zip(&kept) {
                buffer.f_copy_(kept)?;
            }
            Ok(())
        });
        copied.map_err(|error: tch::TchError| EngineError::torch(&self.program.name, error))?;
        self.parameters.optimizer.load(&optimizer).map_err(|error| EngineError::torch(&self.program.name, error))?;
        self.best = best;
        self.position = header.position;
        Ok(())
    }
}

//! Tensors of prepared pictures that are used again: a new one costs a pass over its memory, to clear it, and page faults.
//!
//! A tensor that is taken is filled before other code gets a view of it. It comes back at once, and is free again when all views
//! of it are dropped. Results are copies, so that is at the end of its batch. The model owns the tensors; any thread takes them.

use std::sync::{Mutex, PoisonError};

use flambeau_torch_ext::is_alone;
use tch::{TchError, Tensor};

use crate::{memory, pool};

/// Larger ones are not kept.
const MOST_ELEMENTS: usize = 32 << 20;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Spares(Mutex<Vec<Tensor>>);

impl Spares {
    /// A contiguous f32 tensor of this shape that `write` fills, from a spare one if there is one, and the result of `write`.
    /// What `write` leaves out has arbitrary values.
    ///
    /// # Errors
    /// libtorch has no memory for it.
    pub(super) fn filled<R>(&self, shape: &[i64], mut write: impl FnMut(&mut [f32]) -> R) -> Result<(Tensor, R), TchError> {
        let elements = usize::try_from(shape.iter().product::<i64>()).unwrap_or(usize::MAX);
        if let Some(spare) = self.take(elements) {
            let filled = memory::refilled(&spare, shape, &mut write)?;
            self.keep(spare);
            if let Some(filled) = filled {
                return Ok(filled);
            }
        }
        let (tensor, result) = memory::filled(shape, write)?;
        if (1..=MOST_ELEMENTS).contains(&elements) {
            self.keep(tensor.shallow_clone());
        }
        Ok((tensor, result))
    }

    /// The smallest free tensor with at least this number of elements.
    fn take(&self, elements: usize) -> Option<Tensor> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fits = all.iter().enumerate().filter(|(_, tensor)| tensor.numel() >= elements && is_alone(tensor));
        let (place, _) = fits.min_by_key(|(_, tensor)| tensor.numel())?;
        Some(all.swap_remove(place))
    }

    /// As many as there are tasks at a time; the smallest goes first.
    fn keep(&self, tensor: Tensor) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(tensor);
        if all.len() > pool::threads() {
            let smallest = all.iter().enumerate().min_by_key(|(_, tensor)| tensor.numel());
            if let Some((place, _)) = smallest {
                drop(all.swap_remove(place));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests fail by panicking")]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn filled(spares: &Spares, rows: i64, value: f32) -> Tensor {
        spares.filled(&[rows, 2], |out| out.fill(value)).unwrap().0
    }

    #[test]
    fn memory_is_used_again_only_after_all_views_are_gone() {
        let spares = Spares::default();
        let first = filled(&spares, 3, 1.0);
        let place = first.data_ptr();
        let view = first.narrow(0, 1, 1);
        drop(first);
        let second = filled(&spares, 3, 2.0);
        assert_ne!(second.data_ptr(), place, "the first has a view");
        assert_eq!(Vec::<f32>::try_from(view.reshape([-1])).unwrap(), [1.0, 1.0]);
        drop((view, second));
        let third = filled(&spares, 2, 3.0);
        assert_eq!(third.size(), [2, 2]);
        assert_eq!(Vec::<f32>::try_from(third.reshape([-1])).unwrap(), [3.0; 4]);
        drop(third);
        let places: HashSet<_> = (0..8).map(|_| filled(&spares, 3, 4.0).data_ptr()).collect();
        assert!(places.len() <= 2, "the two that there are: {places:?}");
    }

    #[test]
    fn no_more_are_kept_than_tasks_use() {
        let spares = Spares::default();
        let held: Vec<Tensor> = (0..20).map(|rows| filled(&spares, rows + 1, 0.0)).collect();
        drop(held);
        assert!(spares.0.lock().unwrap().len() <= pool::threads());
    }
}

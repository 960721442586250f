//! Questions about a tensor's memory that tch does not ask.

use tch::Tensor;

use crate::ffi;

/// Whether no other code has this tensor or a view of it, so that its memory can be written to.
#[must_use]
pub fn is_alone(tensor: &Tensor) -> bool {
    // SAFETY: the tensor is live.
    tensor.defined() && unsafe { ffi::flb_tensor_is_alone(tensor.as_ptr()) }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests fail by panicking")]
mod tests {
    use tch::{Device, Kind};

    use super::*;

    #[test]
    fn a_tensor_with_a_view_or_a_clone_is_not_alone() {
        let tensor = Tensor::zeros([4, 3], (Kind::Float, Device::Cpu));
        assert!(is_alone(&tensor));
        let others: [fn(&Tensor) -> Tensor; 4] =
            [Tensor::shallow_clone, |tensor| tensor.narrow(0, 1, 2), |tensor| tensor.permute([1, 0]), Tensor::detach];
        for other in others {
            let other = other(&tensor);
            assert!(!is_alone(&tensor));
            drop(other);
            assert!(is_alone(&tensor));
        }
        assert!(is_alone(&tensor.copy()));
    }
}

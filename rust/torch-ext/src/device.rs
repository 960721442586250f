//! Where programs run: the CPU or a CUDA device.

use std::ffi::c_void;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::str::FromStr;

use crate::{TorchError, error, ffi};

/// A device, by libtorch's name: `cpu`, or `cuda:N` with N from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Device {
    /// The processor.
    Cpu,
    /// A CUDA device, by its number among those that the process sees.
    Cuda(u8),
}

impl Device {
    /// Whether it is a CUDA device.
    #[must_use]
    pub fn is_cuda(self) -> bool {
        self != Self::Cpu
    }

    /// -1 for the CPU, as the C functions take it.
    pub(crate) fn index(self) -> i32 {
        match self {
            Self::Cpu => -1,
            Self::Cuda(index) => i32::from(index),
        }
    }

    /// Whether this process can use it.
    ///
    /// # Errors
    /// [`TorchError::Device`]: libtorch is a build for CPUs, there is no driver or a wrong one, or there are fewer devices.
    pub fn check(self) -> Result<(), TorchError> {
        if self == Self::Cpu {
            return Ok(());
        }
        let mut failure = ffi::FlbError::none();
        // SAFETY: `failure` is a live, writable struct for the length of the call.
        unsafe { ffi::flb_device_check(self.index(), &raw mut failure) };
        error::take(failure).map_err(|cause| TorchError::Device(format!("{self} cannot be used: {cause}")))
    }

    /// Puts the calling thread onto the device until the result is dropped: its operators run on a stream of its own there. Nothing
    /// to do for the CPU. The device must have been checked.
    ///
    /// # Errors
    /// The device has failed.
    pub fn enter(self) -> Result<Option<OnDevice>, TorchError> {
        if self == Self::Cpu {
            return Ok(None);
        }
        let mut failure = ffi::FlbError::none();
        // SAFETY: `failure` is a live, writable struct for the length of the call.
        let raw = unsafe { ffi::flb_device_enter(self.index(), &raw mut failure) };
        error::take(failure)?;
        Ok(NonNull::new(raw).map(|raw| OnDevice { raw, of_thread: PhantomData }))
    }

    /// Bytes that this process's tensors take on a CUDA device, now and at most so far; zeros for the CPU.
    ///
    /// # Errors
    /// The device was not checked.
    pub fn memory_bytes(self) -> Result<(u64, u64), TorchError> {
        let (mut now, mut peak) = (0, 0);
        if self.is_cuda() {
            let mut failure = ffi::FlbError::none();
            // SAFETY: all three are live and writable for the length of the call.
            unsafe { ffi::flb_device_memory(self.index(), &raw mut now, &raw mut peak, &raw mut failure) };
            error::take(failure)?;
        }
        Ok((u64::try_from(now).unwrap_or(0), u64::try_from(peak).unwrap_or(0)))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for Device {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let index = |name: &str| name.strip_prefix("cuda:").and_then(|index| index.parse::<u8>().ok()).filter(|index| *index < 128);
        match name {
            "cpu" => Ok(Self::Cpu),
            other => index(other).map(Self::Cuda).ok_or_else(|| format!("'{other}' is not a device: cpu, or cuda:0 to cuda:127")),
        }
    }
}

/// A thread on a CUDA device; see [`Device::enter`]. Drop it on the same thread, the latest first.
#[derive(Debug)]
pub struct OnDevice {
    raw: NonNull<c_void>,
    /// It sets the thread's stream, so it must not go to another thread.
    of_thread: PhantomData<*const ()>,
}

impl Drop for OnDevice {
    fn drop(&mut self) {
        // SAFETY: `raw` came from flb_device_enter on this thread and is freed once, here.
        unsafe { ffi::flb_device_leave(self.raw.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_have_libtorchs_names() {
        for device in [Device::Cpu, Device::Cuda(0), Device::Cuda(7)] {
            assert_eq!(device.to_string().parse(), Ok(device));
        }
        for wrong in ["", "cuda", "cuda:", "cuda:-1", "cuda:300", "cuda:128", "gpu:0", "CPU"] {
            assert!(wrong.parse::<Device>().unwrap_err().contains("cuda:0 to cuda:127"), "{wrong}");
        }
    }

    #[test]
    fn a_device_that_libtorch_does_not_have_is_refused() {
        let refused = Device::Cuda(127).check().unwrap_err();
        assert!(matches!(refused, TorchError::Device(_)), "{refused}");
        assert!(refused.to_string().starts_with("cuda:127 cannot be used: "), "{refused}");
        assert!(Device::Cpu.check().is_ok());
    }
}

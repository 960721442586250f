//! Ranks that add up tensors: c10d's TCPStore for the rendezvous, its Gloo back end for the sums.
//!
//! Every wait has a deadline, given when the store and the group are opened. A group closes its sockets when it is dropped;
//! that waits for sums still under way, so whoever gives up on one drops the group on a thread of its own.

use std::ffi::{CString, c_void};
use std::ptr::NonNull;
use std::time::Duration;

use tch::Tensor;

use crate::{TorchError, error, ffi};

/// The key-value store by which ranks find one another.
#[derive(Debug)]
pub struct Store {
    raw: NonNull<c_void>,
}

// SAFETY: c10d's TCPStore locks its own connection.
unsafe impl Send for Store {}
// SAFETY: as above.
unsafe impl Sync for Store {}

impl Store {
    /// Serves on a free port of `host`, an address of this machine.
    ///
    /// # Errors
    /// The port cannot be opened.
    pub fn serve(host: &str, deadline: Duration) -> Result<Self, TorchError> {
        Self::open(host, 0, true, deadline)
    }

    /// Connects to the store at `host`:`port`, trying until the deadline.
    ///
    /// # Errors
    /// Nobody answers there.
    pub fn connect(host: &str, port: u16, deadline: Duration) -> Result<Self, TorchError> {
        Self::open(host, port, false, deadline)
    }

    /// Puts a value under a key.
    ///
    /// # Errors
    /// The store is gone.
    pub fn put(&self, key: &str, value: &[u8]) -> Result<(), TorchError> {
        let key = text(key)?;
        let length = i64::try_from(value.len()).unwrap_or(i64::MAX);
        let mut failure = ffi::FlbError::none();
        // SAFETY: the store is live, `key` NUL-terminated, `value` has `length` bytes, `failure` is writable.
        unsafe { ffi::flb_store_put(self.raw.as_ptr(), key.as_ptr(), value.as_ptr(), length, &raw mut failure) };
        error::take(failure)
    }

    /// The values under `prefix`0 … `prefix`(world - 1), once all are there; does not wait for them.
    ///
    /// # Errors
    /// The store is gone.
    pub fn all(&self, prefix: &str, world: usize) -> Result<Option<Vec<Vec<u8>>>, TorchError> {
        let prefix = text(prefix)?;
        let mut lengths = vec![0_i64; world];
        let mut failure = ffi::FlbError::none();
        let (raw, to) = (self.raw.as_ptr(), lengths.as_mut_ptr());
        // SAFETY: the store is live, `prefix` NUL-terminated, `lengths` has room for `world` numbers, `failure` is writable.
        let bytes = unsafe { ffi::flb_store_all(raw, prefix.as_ptr(), number(world), to, &raw mut failure) };
        error::take(failure)?;
        if bytes.is_null() {
            return Ok(None);
        }
        let lengths: Vec<usize> = lengths.into_iter().map(|n| usize::try_from(n).unwrap_or(0)).collect();
        // SAFETY: without a failure the call returned as many bytes as `lengths` adds up to, and they are ours.
        let mut rest = unsafe { std::slice::from_raw_parts(bytes, lengths.iter().sum()) };
        let mut values = Vec::with_capacity(world);
        for length in lengths {
            let (value, after) = rest.split_at(length);
            values.push(value.to_vec());
            rest = after;
        }
        // SAFETY: the same bytes, freed once, not used after.
        unsafe { ffi::flb_free_bytes(bytes) };
        Ok(Some(values))
    }

    fn open(host: &str, port: u16, serve: bool, deadline: Duration) -> Result<Self, TorchError> {
        let host = text(host)?;
        let mut failure = ffi::FlbError::none();
        // SAFETY: `host` is NUL-terminated and `failure` writable; both outlive the call.
        let raw = unsafe { ffi::flb_store_open(host.as_ptr(), i32::from(port), serve, millis(deadline), &raw mut failure) };
        error::take(failure)?;
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| TorchError::Failed("no store was opened".into()))
    }

    /// The port that it serves on, or is connected to.
    #[must_use]
    pub fn port(&self) -> u16 {
        // SAFETY: `raw` is a live store.
        let port = unsafe { ffi::flb_store_port(self.raw.as_ptr()) };
        u16::try_from(port).unwrap_or(0)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // SAFETY: `raw` came from flb_store_open and is freed once, here; groups hold the store by their own reference.
        unsafe { ffi::flb_store_free(self.raw.as_ptr()) };
    }
}

/// One rank's membership.
#[derive(Debug)]
pub struct Group {
    raw: NonNull<c_void>,
}

// SAFETY: ProcessGroupGloo locks its queue of work.
unsafe impl Send for Group {}
// SAFETY: as above; that all ranks start sums in the same order is the caller's business, and breaking it is an error of
// sizes or a timeout, not memory.
unsafe impl Sync for Group {}

impl Group {
    /// Joins as `rank` of `world`, and waits until all have joined. `own_host`: the address by which peers reach this rank.
    ///
    /// # Errors
    /// A rank that does not come before the deadline, which holds for every later wait too.
    pub fn join(store: &Store, rank: usize, world: usize, own_host: &str, deadline: Duration) -> Result<Self, TorchError> {
        let host = text(own_host)?;
        let mut failure = ffi::FlbError::none();
        let (rank, world, millis) = (number(rank), number(world), millis(deadline));
        // SAFETY: the store is live, `host` NUL-terminated, `failure` writable; the C++ side keeps its own store reference.
        let raw = unsafe { ffi::flb_group_open(store.raw.as_ptr(), rank, world, host.as_ptr(), millis, &raw mut failure) };
        error::take(failure)?;
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(|| TorchError::Failed("no group was joined".into()))
    }

    /// Starts adding up a dense contiguous tensor over all ranks, in place; it must be left alone until that is done.
    ///
    /// # Errors
    /// A tensor that Gloo does not take, or a broken group.
    pub fn all_reduce(&self, tensor: &Tensor) -> Result<Pending, TorchError> {
        let mut failure = ffi::FlbError::none();
        // SAFETY: group and tensor are live; the C++ side keeps a reference to the tensor.
        let raw = unsafe { ffi::flb_group_all_reduce(self.raw.as_ptr(), tensor.as_ptr(), &raw mut failure) };
        error::take(failure)?;
        NonNull::new(raw).map(|raw| Pending { raw }).ok_or_else(|| TorchError::Failed("no sum was started".into()))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // SAFETY: `raw` came from flb_group_open and is freed once, here.
        unsafe { ffi::flb_group_free(self.raw.as_ptr()) };
    }
}

/// A sum under way.
#[derive(Debug)]
pub struct Pending {
    raw: NonNull<c_void>,
}

// SAFETY: c10d's Work locks its own state; a sum may be waited for on another thread than the one that started it.
unsafe impl Send for Pending {}

impl Pending {
    /// Whether it is done, after waiting for it for at most `time`.
    ///
    /// # Errors
    /// A peer is gone or too late.
    pub fn wait(&mut self, time: Duration) -> Result<bool, TorchError> {
        let mut failure = ffi::FlbError::none();
        // SAFETY: `raw` is live and ours alone.
        let done = unsafe { ffi::flb_pending_wait(self.raw.as_ptr(), millis(time), &raw mut failure) };
        error::take(failure)?;
        Ok(done)
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        // SAFETY: `raw` came from flb_group_all_reduce and is freed once, here; the group holds its own reference.
        unsafe { ffi::flb_pending_free(self.raw.as_ptr()) };
    }
}

fn number(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn text(text: &str) -> Result<CString, TorchError> {
    CString::new(text).map_err(|_| TorchError::Failed(format!("{text:?} has a NUL in it")))
}

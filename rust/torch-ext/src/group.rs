//! Ranks that add up tensors: c10d's Gloo back end, over a [`Board`] of addresses that the caller provides.
//!
//! Every wait has a deadline. A group closes its sockets when it is dropped. That waits for running sums, so to give up on a sum,
//! drop the group on another thread. Only Gloo listens, on one address per rank.

use std::any::Any;
use std::ffi::{CStr, CString, c_char, c_void};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::time::Duration;

use tch::Tensor;

use crate::{TorchError, error, ffi};

/// Holds the addresses of a group's ranks: keys and bytes that all of them see. Called by the thread that joins.
pub trait Board {
    /// Its error.
    type Error;

    /// Puts a value under a key.
    ///
    /// # Errors
    /// The board is gone.
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), Self::Error>;

    /// The value under a key; waits for it.
    ///
    /// # Errors
    /// The board is gone, or there was no value in time.
    fn get(&mut self, key: &str) -> Result<Vec<u8>, Self::Error>;
}

/// Why a group was not joined.
#[derive(Debug)]
pub enum JoinError<E> {
    /// The board's own failure.
    Board(E),
    /// Gloo's.
    Torch(TorchError),
}

/// A board while C++ calls it.
struct Asked<'a, B: Board> {
    board: &'a mut B,
    /// The result of the last `get`, while C++ reads it.
    value: Vec<u8>,
    failure: Option<B::Error>,
    panic: Option<Box<dyn Any + Send>>,
}

impl<B: Board> Asked<'_, B> {
    /// Records a failure or a panic, which must not unwind through C++.
    fn outcome<T>(&mut self, ask: impl FnOnce(&mut B) -> Result<T, B::Error>) -> Option<T> {
        match catch_unwind(AssertUnwindSafe(|| ask(self.board))) {
            Ok(Ok(answer)) => Some(answer),
            Ok(Err(failure)) => {
                self.failure = Some(failure);
                None
            }
            Err(panic) => {
                self.panic = Some(panic);
                None
            }
        }
    }
}

extern "C" fn put<B: Board>(context: *mut c_void, key: *const c_char, bytes: *const u8, length: i64) -> bool {
    // SAFETY: `context` is the Asked<B> that `Group::join` lends to C++, which calls on the same thread while it is lent.
    let asked = unsafe { &mut *context.cast::<Asked<'_, B>>() };
    // SAFETY: C++ gives a NUL-terminated key that outlives the call.
    let key = unsafe { CStr::from_ptr(key) }.to_string_lossy();
    let value = match usize::try_from(length).unwrap_or(0) {
        0 => &[],
        // SAFETY: C++ gives `length` bytes that outlive the call.
        length => unsafe { std::slice::from_raw_parts(bytes, length) },
    };
    asked.outcome(|board| board.put(&key, value)).is_some()
}

extern "C" fn get<B: Board>(context: *mut c_void, key: *const c_char, length: *mut i64) -> *const u8 {
    // SAFETY: as in `put`.
    let asked = unsafe { &mut *context.cast::<Asked<'_, B>>() };
    // SAFETY: C++ gives a NUL-terminated key that outlives the call.
    let key = unsafe { CStr::from_ptr(key) }.to_string_lossy();
    let Some(value) = asked.outcome(|board| board.get(&key)) else { return std::ptr::null() };
    asked.value = value;
    let bytes = i64::try_from(asked.value.len()).unwrap_or(0);
    // SAFETY: C++ gives a place for one number.
    unsafe { length.write(bytes) };
    asked.value.as_ptr()
}

/// One rank's membership.
#[derive(Debug)]
pub struct Group {
    raw: NonNull<c_void>,
}

// SAFETY: ProcessGroupGloo locks its queue of work.
unsafe impl Send for Group {}
// SAFETY: as above; the caller must make sure that all ranks start sums in the same order. Otherwise there is an error of sizes
// or a timeout, but no wrong memory access.
unsafe impl Sync for Group {}

impl Group {
    /// Joins as `rank` of `world`, and waits until all have joined. `own_host`: the address of this rank for its peers, and the
    /// only one that it listens on. The deadline applies to every later wait too.
    ///
    /// # Errors
    /// The board's error; a rank that does not join before the deadline.
    pub fn join<B: Board>(
        board: &mut B,
        rank: usize,
        world: usize,
        own_host: &str,
        deadline: Duration,
    ) -> Result<Self, JoinError<B::Error>> {
        let host = text(own_host).map_err(JoinError::Torch)?;
        let mut asked = Asked { board, value: Vec::new(), failure: None, panic: None };
        let lent = ffi::FlbBoard { context: (&raw mut asked).cast(), put: put::<B>, get: get::<B> };
        let mut failure = ffi::FlbError::none();
        let (rank, world, millis) = (number(rank), number(world), millis(deadline));
        // SAFETY: the board and `asked` outlive the call, and C++ does not use them afterwards; `host` is NUL-terminated,
        // `failure` writable.
        let raw = unsafe { ffi::flb_group_open(&raw const lent, rank, world, host.as_ptr(), millis, &raw mut failure) };
        if let Some(panic) = asked.panic {
            resume_unwind(panic);
        }
        let opened = error::take(failure);
        if let Some(failure) = asked.failure {
            return Err(JoinError::Board(failure));
        }
        opened.map_err(JoinError::Torch)?;
        let nothing = || JoinError::Torch(TorchError::Failed("no group was joined".into()));
        NonNull::new(raw).map(|raw| Self { raw }).ok_or_else(nothing)
    }

    /// Starts adding up a dense contiguous tensor over all ranks, in place; it must not be used until that is done.
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

/// A running sum.
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

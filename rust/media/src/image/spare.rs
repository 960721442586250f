//! One buffer per thread that is kept after a picture, so that the next picture of the same kind needs no allocation.

use std::cell::Cell;

/// Larger buffers are freed, in bytes: the buffer of a picture of 16 million pixels is kept.
const MOST_KEPT_BYTES: usize = 64 << 20;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The buffer of this thread, with its last content; an empty one while it is in use, or after a panic.
pub(super) fn take() -> Vec<u8> {
    SPARE.take()
}

/// Keeps `buffer` for the next picture of this thread.
pub(super) fn keep(buffer: Vec<u8>) {
    if buffer.capacity() <= MOST_KEPT_BYTES {
        SPARE.set(buffer);
    }
}

//! One buffer a thread that outlives the picture in it, so that pictures of the same kind follow one another without asking the
//! machine for memory.

use std::cell::Cell;

/// Larger buffers go back to the machine, in bytes: a picture of 16 million pixels is kept.
const MOST_KEPT_BYTES: usize = 64 << 20;

thread_local! {
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// The buffer of this thread, with what was last in it; an empty one while it is in use, or after a panic.
pub(super) fn take() -> Vec<u8> {
    SPARE.take()
}

/// Keeps `buffer` for the next picture of this thread.
pub(super) fn keep(buffer: Vec<u8>) {
    if buffer.capacity() <= MOST_KEPT_BYTES {
        SPARE.set(buffer);
    }
}

//! How the ranks of a group find one another: by a board of keys and bytes, which the caller provides and all ranks can reach. In
//! Spark it is on the driver, and calls use Spark's own RPC (its ports, its authentication, its encryption).
//!
//! Waiting for another rank's value checks for a cancellation regularly, and has a deadline.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flambeau_engine::EngineError;

/// The operation of a rank that waits for the others to join.
pub(super) const JOINING: &str = "joining the group";
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// See the module.
pub trait Board {
    /// Puts a value under a key.
    ///
    /// # Errors
    /// The board is out of reach.
    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), EngineError>;

    /// The value under a key, if there is one already.
    ///
    /// # Errors
    /// The board is out of reach.
    fn look(&mut self, key: &str) -> Result<Option<Vec<u8>>, EngineError>;
}

/// A board with waits for values.
pub(super) struct Waiting<'a> {
    pub(super) board: &'a mut dyn Board,
    pub(super) canceled: &'a AtomicBool,
    /// Of all waits together.
    pub(super) deadline: Duration,
    pub(super) since: Instant,
    /// The rank that waits, for messages.
    pub(super) rank: usize,
    /// How many ranks there are.
    pub(super) world: usize,
}

impl flambeau_torch_ext::Board for Waiting<'_> {
    type Error = EngineError;

    fn put(&mut self, key: &str, value: &[u8]) -> Result<(), EngineError> {
        self.board.put(key, value)
    }

    fn get(&mut self, key: &str) -> Result<Vec<u8>, EngineError> {
        let mut pause = SHORTEST_PAUSE;
        loop {
            if let Some(value) = self.board.look(key)? {
                return Ok(value);
            }
            if self.canceled.load(Ordering::Relaxed) {
                return Err(EngineError::Canceled);
            }
            if self.since.elapsed() >= self.deadline {
                return Err(EngineError::Peer {
                    rank: self.rank,
                    world: self.world,
                    phase: JOINING.to_owned(),
                    cause: format!("not all workers came within {} s", self.deadline.as_secs_f64()),
                });
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

//! The workers of one training, and sums over all of them.
//!
//! One worker alone opens no socket, and its sums are its own. With more, every wait has a deadline, looks for a
//! cancellation twenty times a second, and ends with an error that names this rank and what it was doing once a peer is gone.
//!
//! After such an end the group is of no more use: its sockets are closed by a thread that ends as soon as Gloo's own have.
//!
//! Sums begin when the backward pass has ended. Beginning them bucket by bucket within it could hide no more than they take: under 1 % of
//! a step of the small net and of ResNet-50 on two ranks of a CPU (bench/results: train_workers, train_all_reduce,
//! train_scaling), so it does not pay before there are devices whose steps are short beside the network.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flambeau_torch_ext::{Group, Pending, Store, TorchError};
use serde::Deserialize;
use tch::Tensor;

use crate::EngineError;

/// Elements of one sum: 25 MB of f32, as PyTorch's buckets are.
const BUCKET_ELEMENTS: i64 = 25 * 1024 * 1024 / 4;

/// Key, less the rank, by which a rank tells that it is there.
const ARRIVED: &str = "flambeau/arrived/";

/// Pause between two looks whether all have come.
const MEET: Duration = Duration::from_millis(5);

const LOOK: Duration = Duration::from_millis(50);

/// Rank 0's store, as one of the ranks opens it.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreSpec {
    /// An address of rank 0's machine.
    pub host: String,
    /// Where it listens already; 0: it is opened here, on a free port.
    #[serde(default)]
    pub port: u16,
    /// Deadline of its answers.
    pub timeout_ms: u64,
}

impl StoreSpec {
    /// Listens on a free port, or connects to the one that listens.
    ///
    /// # Errors
    /// An address that is not of this machine, or where nobody answers.
    pub fn open(&self) -> Result<Store, EngineError> {
        let deadline = Duration::from_millis(self.timeout_ms);
        let store = match self.port {
            0 => Store::serve(&self.host, deadline),
            port => Store::connect(&self.host, port, deadline),
        };
        store.map_err(|error| peer(0, 0, format!("opening the rendezvous at {}", self.host), &error))
    }
}

/// One round of messages, in which every rank says something and hears all others.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RoundSpec {
    /// From 0.
    pub rank: usize,
    /// How many there are.
    pub world: usize,
    /// Counts the rounds of a store; the same for all ranks.
    pub number: u64,
}

impl RoundSpec {
    fn prefix(&self) -> String {
        format!("flambeau/round/{}/", self.number)
    }

    /// Says this rank's message.
    ///
    /// # Errors
    /// Rank 0 is gone.
    pub fn say(&self, store: &Store, message: &str) -> Result<(), EngineError> {
        store.put(&format!("{}{}", self.prefix(), self.rank), message.as_bytes()).map_err(|error| self.lost(&error))
    }

    /// What all ranks said, by rank, once they have; does not wait for them.
    ///
    /// # Errors
    /// Rank 0 is gone.
    pub fn heard(&self, store: &Store) -> Result<Option<Vec<String>>, EngineError> {
        let all = store.all(&self.prefix(), self.world).map_err(|error| self.lost(&error))?;
        Ok(all.map(|values| values.iter().map(|value| String::from_utf8_lossy(value).into_owned()).collect()))
    }

    fn lost(&self, error: &TorchError) -> EngineError {
        peer(self.rank, self.world, "agreeing with the other workers".into(), error)
    }
}

/// One worker's membership.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// From 0.
    pub rank: usize,
    /// How many there are.
    pub world: usize,
    /// Where rank 0's store listens.
    #[serde(default)]
    pub host: String,
    /// See `host`.
    #[serde(default)]
    pub port: u16,
    /// The address by which peers reach this process. Default: `host`, which is right on one machine.
    #[serde(default)]
    pub own_host: Option<String>,
    /// Deadline of joining and of every wait for a peer.
    #[serde(default)]
    pub timeout_ms: u64,
    /// For the bridge: the handle of the store, where it is open already.
    #[serde(default)]
    pub store: Option<i64>,
}

/// See the module.
pub struct Ranks {
    /// From 0.
    pub rank: usize,
    /// How many there are.
    pub world: usize,
    group: Mutex<Option<Group>>,
}

impl Ranks {
    /// One worker by itself.
    #[must_use]
    pub fn alone() -> Self {
        Self { rank: 0, world: 1, group: Mutex::new(None) }
    }

    /// Joins, and waits for all others. `store`: where it is open already, as on rank 0.
    ///
    /// # Errors
    /// Workers that do not come before the deadline; a cancellation.
    pub fn join(spec: &GroupSpec, store: Option<&Store>, cancelled: &AtomicBool) -> Result<Self, EngineError> {
        if spec.world == 0 || spec.rank >= spec.world {
            return Err(EngineError::BadRequest(format!("there is no rank {} of {}", spec.rank, spec.world)));
        }
        if spec.world == 1 {
            return Ok(Self::alone());
        }
        let deadline = Duration::from_millis(spec.timeout_ms);
        let at = format!("joining the group at {}:{}", spec.host, spec.port);
        let fail = |error: TorchError| peer(spec.rank, spec.world, at.clone(), &error);
        let client;
        let store = match store {
            Some(store) => store,
            None => {
                client = Store::connect(&spec.host, spec.port, deadline).map_err(fail)?;
                &client
            }
        };
        // Gloo's own joining cannot be cancelled, so it begins when nobody is missing any more.
        store.put(&format!("{ARRIVED}{}", spec.rank), b"1").map_err(fail)?;
        let since = Instant::now();
        while store.all(ARRIVED, spec.world).map_err(fail)?.is_none() {
            if cancelled.load(Ordering::Relaxed) {
                return Err(EngineError::Cancelled);
            }
            if since.elapsed() >= deadline {
                return Err(fail(TorchError::Failed(format!("not all workers came within {} s", deadline.as_secs()))));
            }
            std::thread::sleep(MEET);
        }
        let own = spec.own_host.as_ref().unwrap_or(&spec.host);
        let group = Group::join(store, spec.rank, spec.world, own, deadline).map_err(fail)?;
        Ok(Self { rank: spec.rank, world: spec.world, group: Mutex::new(Some(group)) })
    }

    /// Adds up dense 1-d tensors over all workers, in place. `phase` is for messages.
    ///
    /// # Errors
    /// A peer that is gone or too late, a cancellation; the group is of no more use then.
    pub fn sum(&self, tensors: &[&Tensor], phase: &str, cancelled: &AtomicBool) -> Result<(), EngineError> {
        if self.world == 1 {
            return Ok(());
        }
        let mut guard = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(group) = guard.as_ref() else {
            return Err(self.broken(phase, "the group broke before"));
        };
        let outcome = self.start(group, tensors, phase).and_then(|mut all| match self.finish(&mut all, phase, cancelled) {
            Ok(()) => Ok(()),
            Err(error) => Err((error, all)),
        });
        match outcome {
            Ok(()) => Ok(()),
            Err((error, under_way)) => {
                abandon(guard.take(), under_way);
                Err(error)
            }
        }
    }

    fn start(&self, group: &Group, tensors: &[&Tensor], phase: &str) -> Result<Vec<Pending>, (EngineError, Vec<Pending>)> {
        let mut under_way = Vec::new();
        for tensor in tensors {
            let total = tensor.size().iter().product::<i64>();
            let mut at = 0;
            while at < total {
                let length = BUCKET_ELEMENTS.min(total - at);
                let started = tensor
                    .f_narrow(0, at, length)
                    .map_err(TorchError::from)
                    .and_then(|bucket| group.all_reduce(&bucket))
                    .map_err(|error| peer(self.rank, self.world, phase.to_owned(), &error));
                match started {
                    Ok(pending) => under_way.push(pending),
                    Err(error) => return Err((error, under_way)),
                }
                at += length;
            }
        }
        Ok(under_way)
    }

    fn finish(&self, under_way: &mut [Pending], phase: &str, cancelled: &AtomicBool) -> Result<(), EngineError> {
        for pending in under_way {
            loop {
                match pending.wait(LOOK) {
                    Ok(true) => break,
                    Ok(false) if cancelled.load(Ordering::Relaxed) => return Err(EngineError::Cancelled),
                    Ok(false) => {}
                    Err(error) => return Err(peer(self.rank, self.world, phase.to_owned(), &error)),
                }
            }
        }
        Ok(())
    }

    fn broken(&self, phase: &str, cause: &str) -> EngineError {
        EngineError::Peer { rank: self.rank, world: self.world, phase: phase.to_owned(), cause: cause.to_owned() }
    }

    /// Adds up numbers over all workers.
    pub(super) fn sum_numbers(&self, numbers: &mut [f64], phase: &str, cancelled: &AtomicBool) -> Result<(), EngineError> {
        if self.world == 1 || numbers.is_empty() {
            return Ok(());
        }
        let internal = |error: tch::TchError| EngineError::Internal(error.to_string());
        let tensor = Tensor::f_from_slice(numbers).map_err(internal)?;
        self.sum(&[&tensor], phase, cancelled)?;
        let length = numbers.len();
        tensor.f_copy_data(numbers, length).map_err(internal)
    }
}

fn peer(rank: usize, world: usize, phase: String, error: &TorchError) -> EngineError {
    EngineError::Peer { rank, world, phase, cause: error.to_string() }
}

/// Lets go of a group whose sums did not end, without waiting for them.
fn abandon(group: Option<Group>, under_way: Vec<Pending>) {
    let waiting = std::thread::Builder::new().name("flambeau-group-close".into());
    let held = Arc::new(Mutex::new(Some((group, under_way))));
    let for_thread = held.clone();
    let started = waiting.spawn(move || drop(for_thread.lock().unwrap_or_else(PoisonError::into_inner).take()));
    if let Err(error) = started {
        log::warn!("the group is closed on the task's own thread: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_worker_sums_without_a_group() {
        let ranks = Ranks::alone();
        let mut numbers = [1.0, 2.0];
        ranks.sum_numbers(&mut numbers, "testing", &AtomicBool::new(false)).unwrap();
        assert_eq!(numbers, [1.0, 2.0]);
    }

    #[test]
    fn every_rank_hears_what_all_said_once_all_have() {
        let mut spec = StoreSpec { host: "127.0.0.1".into(), port: 0, timeout_ms: 60_000 };
        let served = spec.open().unwrap();
        spec.port = served.port();
        let client = spec.open().unwrap();
        let round = |rank, number| RoundSpec { rank, world: 2, number };
        round(0, 1).say(&served, "né le 1er").unwrap();
        assert_eq!(round(1, 1).heard(&client).unwrap(), None);
        round(1, 1).say(&client, "").unwrap();
        for store in [&served, &client] {
            assert_eq!(round(0, 1).heard(store).unwrap(), Some(vec!["né le 1er".to_owned(), String::new()]));
            assert_eq!(round(0, 2).heard(store).unwrap(), None);
        }
        drop(served);
        let lost = round(1, 2).say(&client, "late").and_then(|()| round(1, 2).heard(&client)).err();
        assert_eq!(lost.map(|error| error.kind()), Some("peer"));
    }

    #[test]
    fn waiting_for_a_rank_that_does_not_come_can_be_cancelled_and_has_a_deadline() {
        let spec = |timeout_ms| GroupSpec { rank: 0, world: 2, host: "127.0.0.1".into(), port: 0, own_host: None, timeout_ms, store: None };
        let store = StoreSpec { host: "127.0.0.1".into(), port: 0, timeout_ms: 600_000 }.open().unwrap();
        let cancelled = Arc::new(AtomicBool::new(false));
        let for_thread = cancelled.clone();
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(LOOK);
            for_thread.store(true, Ordering::Relaxed);
        });
        let joined = Ranks::join(&spec(600_000), Some(&store), &cancelled);
        assert!(matches!(joined, Err(EngineError::Cancelled)));
        canceller.join().unwrap();
        let late = Ranks::join(&spec(20), Some(&store), &AtomicBool::new(false));
        assert_eq!(late.err().map(|e| e.kind()), Some("peer"));
    }

    #[test]
    fn a_rank_that_is_not_in_the_world_is_refused() {
        let spec = GroupSpec { rank: 2, world: 2, host: String::new(), port: 0, own_host: None, timeout_ms: 1, store: None };
        assert_eq!(Ranks::join(&spec, None, &AtomicBool::new(false)).err().map(|e| e.kind()), Some("bad_request"));
    }
}

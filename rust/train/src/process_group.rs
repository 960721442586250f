//! The workers of one training, and sums over all of them.
//!
//! A single worker opens no socket, and its sums are its own values. Workers of one process add up in memory (`local_group`); the first of
//! each process then adds up with those of other processes, by Gloo, and the others take its result. Every wait has a deadline
//! and checks for a cancellation twenty times a second. Once a peer is gone, it ends with an error that names this rank and its
//! current operation. After that the group cannot be used any more: a thread closes its sockets and ends as soon as Gloo's own
//! threads have.
//!
//! If there are several processes, Gloo listens in the first rank of each, on one configured address, from joining until the
//! group is dropped. A peer that connects there must name an expected pair, but those numbers can be guessed. So the first sum
//! proves that all ranks know the job's secret, before any gradient is sent. If one rank does not know it, the sum is wrong and
//! all ranks stop. Gloo does not encrypt what it sends.
//!
//! Sums begin when the backward pass has ended. Starting them bucket by bucket during the pass could save at most their own time.
//! That is under 1 % of a step of the small net and of ResNet-50 on two ranks of a CPU (bench/results: train_workers,
//! train_all_reduce, train_scaling). So it would only help on devices whose steps are short compared with the network. If sums
//! take longer than the rest of the steps, `clock` logs a warning with advice.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use flambeau_engine::EngineError;
use flambeau_torch_ext::{Group, JoinError, Pending, TorchError};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tch::Tensor;

use super::board::{Board, JOINING, Waiting};
use super::local_group::{self, LocalMember, MeetError, Op, WaitLimits};

/// Elements of one sum: 25 MB of f32, as PyTorch's buckets are.
const BUCKET_ELEMENTS: i64 = 25 * 1024 * 1024 / 4;

const LOOK: Duration = Duration::from_millis(50);

/// The prefix of secret and rank in the hash of the proof.
const PROOF: &[u8] = b"flambeau worker ";

/// Numbers of a proof.
const PROOF_NUMBERS: usize = 8;

/// One worker's membership.
#[derive(Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProcessGroupSpec {
    /// From 0.
    pub rank: usize,
    /// How many there are.
    pub world: usize,
    /// The address of this process for its peers, and the only one that it listens on.
    pub own_host: String,
    /// Deadline of joining and of every wait for a peer.
    pub timeout_ms: u64,
    /// The same for all workers of the job, and known only to them.
    pub secret: String,
    /// Ranks with the same name add up in memory: they are threads of one process. Empty: this process's own name. The JVM leaves it empty.
    #[serde(skip)]
    pub process: String,
}

impl ProcessGroupSpec {
    /// This rank's part of the proof: 32 bits of a hash each, so that their sums over ranks do not overflow.
    fn proof(&self, rank: usize) -> [i64; PROOF_NUMBERS] {
        let mut hash = Sha256::new();
        hash.update(PROOF);
        hash.update(self.secret.as_bytes());
        hash.update(format!(" {rank}").as_bytes());
        let digest = hash.finalize();
        let mut numbers = [0; PROOF_NUMBERS];
        for (number, bytes) in numbers.iter_mut().zip(digest.chunks_exact(4)) {
            *number = bytes.iter().fold(0, |sum, byte| sum << 8 | i64::from(*byte));
        }
        numbers
    }
}

/// See the module.
pub struct ProcessGroup {
    /// From 0.
    pub rank: usize,
    /// How many there are.
    pub world: usize,
    /// Among the ranks of this process; None if there is no other.
    member: Option<LocalMember>,
    processes: usize,
    /// With other processes, in the rank that represents this one. Locked during a sum.
    group: Mutex<Option<Group>>,
    deadline: Duration,
}

impl ProcessGroup {
    /// One worker by itself.
    #[must_use]
    pub fn alone() -> Self {
        Self { rank: 0, world: 1, member: None, processes: 1, group: Mutex::new(None), deadline: Duration::ZERO }
    }

    /// Joins by the board, and waits for all others.
    ///
    /// # Errors
    /// Workers that do not join before the deadline, or do not know the secret; a cancellation; an error of the board.
    pub fn join(spec: &ProcessGroupSpec, board: &mut dyn Board, canceled: &AtomicBool) -> Result<Self, EngineError> {
        if spec.world == 0 || spec.rank >= spec.world {
            return Err(EngineError::BadRequest(format!("there is no rank {} of {}", spec.rank, spec.world)));
        }
        if spec.world == 1 {
            return Ok(Self::alone());
        }
        let deadline = Duration::from_millis(spec.timeout_ms);
        let mut waiting = Waiting { board, canceled, deadline, since: Instant::now(), rank: spec.rank, world: spec.world };
        let found = local_group::find(&spec.process, &mut waiting)?;
        let speaks = found.leaders.iter().position(|leader| *leader == spec.rank);
        let processes = found.leaders.len();
        let group = match speaks.filter(|_| processes > 1) {
            None => None,
            Some(place) => Some(Group::join(&mut waiting, place, processes, &spec.own_host, deadline).map_err(|error| match error {
                JoinError::Board(error) => error,
                JoinError::Torch(error) => peer(spec.rank, spec.world, format!("{JOINING} at {}", spec.own_host), &error),
            })?),
        };
        let (rank, world, member) = (spec.rank, spec.world, found.member);
        let ranks = Self { rank, world, member, processes, group: Mutex::new(group), deadline };
        ranks.prove(spec, canceled)?;
        Ok(ranks)
    }

    /// Fails unless all ranks know the secret.
    fn prove(&self, spec: &ProcessGroupSpec, canceled: &AtomicBool) -> Result<(), EngineError> {
        let internal = |error: tch::TchError| EngineError::Internal(error.to_string());
        let mut wanted = [0; PROOF_NUMBERS];
        for rank in 0..self.world {
            wanted.iter_mut().zip(spec.proof(rank)).for_each(|(sum, number)| *sum += number);
        }
        let tensor = Tensor::f_from_slice(&spec.proof(self.rank)).map_err(internal)?;
        self.sum(&[&tensor], JOINING, canceled)?;
        let mut found = [0_i64; PROOF_NUMBERS];
        tensor.f_copy_data(&mut found, PROOF_NUMBERS).map_err(internal)?;
        if found == wanted {
            Ok(())
        } else {
            Err(self.broken(JOINING, "a process that does not know this job's secret took a worker's place"))
        }
    }

    /// Adds up dense 1-d tensors over all workers, in place. `phase` is for messages.
    ///
    /// # Errors
    /// A peer that is gone or too late, a cancellation; the group cannot be used afterwards.
    pub fn sum(&self, tensors: &[&Tensor], phase: &str, canceled: &AtomicBool) -> Result<(), EngineError> {
        if self.world == 1 {
            return Ok(());
        }
        let mut guard = self.group.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(member) = &self.member else { return self.sum_between(&mut guard, tensors, phase, canceled) };
        self.meet(member, tensors, Op::Sum, phase, canceled)?;
        if self.processes == 1 {
            return Ok(());
        }
        if member.leads()
            && let Err(error) = self.sum_between(&mut guard, tensors, phase, canceled)
        {
            member.break_up(&error.to_string());
            return Err(error);
        }
        self.meet(member, tensors, Op::Broadcast, phase, canceled)
    }

    /// In this process.
    fn meet(&self, member: &LocalMember, tensors: &[&Tensor], op: Op, phase: &str, canceled: &AtomicBool) -> Result<(), EngineError> {
        let limits = WaitLimits { canceled, deadline: self.deadline };
        tensors.iter().try_for_each(|tensor| {
            member.meet(tensor, op, &limits).map_err(|missed| match missed {
                MeetError::Canceled => EngineError::Canceled,
                MeetError::Broken(why) => self.broken(phase, &why),
            })
        })
    }

    /// Between processes. Drops the group after a failure.
    fn sum_between(&self, own: &mut Option<Group>, tensors: &[&Tensor], phase: &str, canceled: &AtomicBool) -> Result<(), EngineError> {
        let Some(group) = own.as_ref() else {
            return Err(self.broken(phase, "the group broke before"));
        };
        let outcome = self.start(group, tensors, phase).and_then(|mut all| match self.finish(&mut all, phase, canceled) {
            Ok(()) => Ok(()),
            Err(error) => Err((error, all)),
        });
        outcome.map_err(|(error, under_way)| {
            abandon(own.take(), under_way);
            error
        })
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

    fn finish(&self, under_way: &mut [Pending], phase: &str, canceled: &AtomicBool) -> Result<(), EngineError> {
        for pending in under_way {
            loop {
                match pending.wait(LOOK) {
                    Ok(true) => break,
                    Ok(false) if canceled.load(Ordering::Relaxed) => return Err(EngineError::Canceled),
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
    pub(super) fn sum_numbers(&self, numbers: &mut [f64], phase: &str, canceled: &AtomicBool) -> Result<(), EngineError> {
        if self.world == 1 || numbers.is_empty() {
            return Ok(());
        }
        let internal = |error: tch::TchError| EngineError::Internal(error.to_string());
        let tensor = Tensor::f_from_slice(numbers).map_err(internal)?;
        self.sum(&[&tensor], phase, canceled)?;
        let length = numbers.len();
        tensor.f_copy_data(numbers, length).map_err(internal)
    }
}

fn peer(rank: usize, world: usize, phase: String, error: &TorchError) -> EngineError {
    EngineError::Peer { rank, world, phase, cause: error.to_string() }
}

/// Drops a group whose sums did not end, without waiting for them.
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
        let ranks = ProcessGroup::alone();
        let mut numbers = [1.0, 2.0];
        ranks.sum_numbers(&mut numbers, "testing", &AtomicBool::new(false)).unwrap();
        assert_eq!(numbers, [1.0, 2.0]);
    }

    /// A board of one process, without values of others.
    #[derive(Default)]
    struct Lonely(std::collections::HashMap<String, Vec<u8>>);

    impl Board for Lonely {
        fn put(&mut self, key: &str, value: &[u8]) -> Result<(), EngineError> {
            self.0.insert(key.to_owned(), value.to_vec());
            Ok(())
        }

        fn look(&mut self, key: &str) -> Result<Option<Vec<u8>>, EngineError> {
            Ok(self.0.get(key).cloned())
        }
    }

    fn first_of_two(timeout_ms: u64) -> ProcessGroupSpec {
        ProcessGroupSpec { rank: 0, world: 2, own_host: "127.0.0.1".into(), timeout_ms, secret: String::new(), process: String::new() }
    }

    #[test]
    fn waiting_for_a_rank_that_does_not_come_can_be_canceled_and_has_a_deadline() {
        let canceled = Arc::new(AtomicBool::new(false));
        let for_thread = canceled.clone();
        let canceller = std::thread::spawn(move || {
            std::thread::sleep(LOOK);
            for_thread.store(true, Ordering::Relaxed);
        });
        let joined = ProcessGroup::join(&first_of_two(600_000), &mut Lonely::default(), &canceled);
        assert!(matches!(joined, Err(EngineError::Canceled)));
        canceller.join().unwrap();
        let late = ProcessGroup::join(&first_of_two(20), &mut Lonely::default(), &AtomicBool::new(false));
        assert_eq!(late.err().map(|e| e.kind()), Some("peer"));
    }

    #[test]
    fn a_board_that_fails_is_the_failure() {
        struct Gone;
        impl Board for Gone {
            fn put(&mut self, _key: &str, _value: &[u8]) -> Result<(), EngineError> {
                Err(EngineError::Internal("the driver is gone".into()))
            }
            fn look(&mut self, _key: &str) -> Result<Option<Vec<u8>>, EngineError> {
                Ok(None)
            }
        }
        let error = ProcessGroup::join(&first_of_two(600_000), &mut Gone, &AtomicBool::new(false)).err().unwrap();
        assert!(error.to_string().contains("the driver is gone"), "{error}");
    }

    #[test]
    fn a_rank_that_is_not_in_the_world_is_refused() {
        let spec = ProcessGroupSpec { rank: 2, ..first_of_two(1) };
        assert_eq!(ProcessGroup::join(&spec, &mut Lonely::default(), &AtomicBool::new(false)).err().map(|e| e.kind()), Some("bad_request"));
    }

    #[test]
    fn proofs_differ_by_secret_and_by_rank() {
        let mut spec = first_of_two(1);
        spec.secret = "one".into();
        let (zero, one) = (spec.proof(0), spec.proof(1));
        assert_ne!(zero, one);
        spec.secret = "other".into();
        assert_ne!(zero, spec.proof(0));
        assert!(zero.iter().all(|number| (0..1_i64 << 32).contains(number)));
    }
}

//! Ranks of one process add up in memory, without sockets.
//!
//! A sum is a *meeting*. Each rank brings its tensor and waits until all have arrived. Then each adds up its share of the
//! numbers, in the order of the ranks, and writes the sums into the tensors of all. No rank leaves before all have done their
//! share. So no tensor is freed while another rank reads it, and all ranks get the same bits.
//!
//! Waiting for others checks for a cancellation and has a deadline. A rank that gives up or is dropped breaks the group, and all
//! others end with an error that has the reason. Once all have arrived, ranks only wait for memory, and nothing interrupts that.
//!
//! The ranks find one another by the board: each puts the name of its process there, and the first rank of a process puts the
//! number of its group there. A group belongs to its ranks and is dropped with the last of them. Used by the tasks' threads.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, LazyLock, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use flambeau_engine::EngineError;
use flambeau_torch_ext::Board;
use tch::{Device, Kind, Tensor};

use super::board::{JOINING, Waiting};

/// How long a rank waits for the others without sleeping: waking up takes as long as a short sum.
const SPIN: Duration = Duration::from_micros(60);
/// How often a sleeping rank checks for a cancellation.
const LOOK: Duration = Duration::from_millis(50);
/// Fewer numbers than these are added up by one rank.
const SHARED_NUMBERS: usize = 1024;
/// Numbers that are added up at a time.
const BLOCK: usize = 2048;

static GROUPS: Mutex<Option<HashMap<u64, Weak<LocalGroup>>>> = Mutex::new(None);

/// A name that no other process has.
static PROCESS: LazyLock<String> = LazyLock::new(|| {
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{}-{:016x}{:016x}", std::process::id(), random(), random())
});

/// Where a rank finds the others: those of its own process, and the representative of each process.
pub(super) struct Found {
    /// None if a rank is alone in its process.
    pub(super) member: Option<LocalMember>,
    /// The first rank of each process, in order.
    pub(super) leaders: Vec<usize>,
}

/// Finds the ranks of this process. `process`: a name for it; empty for its own.
pub(super) fn find(process: &str, board: &mut Waiting<'_>) -> Result<Found, EngineError> {
    let (rank, world) = (board.rank, board.world);
    let own = if process.is_empty() { PROCESS.as_bytes() } else { process.as_bytes() };
    board.put(&format!("process/{rank}"), own)?;
    let names: Vec<Vec<u8>> = (0..world).map(|other| board.get(&format!("process/{other}"))).collect::<Result<_, _>>()?;
    let leaders = (0..world).filter(|&one| names[..one].iter().all(|name| *name != names[one])).collect();
    let mates: Vec<usize> = (0..world).filter(|&one| names[one] == own).collect();
    let Some(place) = mates.iter().position(|&one| one == rank).filter(|_| mates.len() > 1) else {
        return Ok(Found { member: None, leaders });
    };
    let key = format!("local_group/{}", mates[0]);
    let group = if place == 0 {
        let (number, group) = LocalGroup::open(mates.len());
        board.put(&key, &number.to_le_bytes())?;
        group
    } else {
        let number = board.get(&key)?.try_into().map(u64::from_le_bytes).unwrap_or(0);
        LocalGroup::of(number).ok_or_else(|| EngineError::Peer {
            rank,
            world,
            phase: JOINING.to_owned(),
            cause: format!("rank {} has left", mates[0]),
        })?
    };
    Ok(Found { member: Some(LocalMember { group, place, rank }), leaders })
}

/// The purpose of a meeting.
#[derive(Clone, Copy)]
pub(super) enum Op {
    /// All tensors become the sum of all.
    Sum,
    /// All become as the first rank's.
    Broadcast,
}

/// Why there was no meeting.
pub(super) enum MeetError {
    Canceled,
    /// A rank is gone or too late, with its number and the reason.
    Broken(String),
}

/// How a rank waits for others.
pub(super) struct WaitLimits<'a> {
    pub(super) canceled: &'a AtomicBool,
    pub(super) deadline: Duration,
}

/// A rank's place in a group; the group is broken for the others when it is dropped.
pub(super) struct LocalMember {
    group: Arc<LocalGroup>,
    place: usize,
    rank: usize,
}

impl LocalMember {
    /// Whether it represents its process.
    pub(super) fn leads(&self) -> bool {
        self.place == 0
    }

    /// Meets the others over dense tensors of equal sizes; see [`Op`].
    pub(super) fn meet(&self, tensor: &Tensor, op: Op, limits: &WaitLimits<'_>) -> Result<(), MeetError> {
        let part = Part::of(tensor).ok_or_else(|| MeetError::Broken(format!("a tensor of {:?} cannot be added up", tensor.f_kind())))?;
        let meeting = self.group.come(self.place, part)?;
        self.group.wait_for_all(meeting, self.rank, limits)?;
        let _done = Leaving { group: &self.group, meeting };
        let parts = self.group.parts();
        if parts.iter().any(|other| (other.kind, other.length) != (part.kind, part.length)) {
            return Err(MeetError::Broken("the ranks' tensors are not alike".into()));
        }
        let share = share_of(part.length, self.place, parts.len());
        match part.kind {
            Kind::Float => reduce::<f32>(&parts, share, op),
            Kind::Double => reduce::<f64>(&parts, share, op),
            _ => reduce::<i64>(&parts, share, op),
        }
        Ok(())
    }

    /// Ends all meetings to come with an error.
    pub(super) fn break_up(&self, why: &str) {
        self.group.break_up(why);
    }
}

impl Drop for LocalMember {
    fn drop(&mut self) {
        self.group.break_up(&format!("rank {} has left", self.rank));
    }
}

/// Numbers of a rank's tensor.
#[derive(Clone, Copy)]
struct Part {
    first: *mut std::ffi::c_void,
    kind: Kind,
    length: usize,
}

// SAFETY: the pointer is used only during a meeting. Every rank's tensor outlives it, and each number is touched by one rank
// only.
unsafe impl Send for Part {}

impl Part {
    /// None for tensors of other kinds, or with gaps.
    fn of(tensor: &Tensor) -> Option<Self> {
        let kind = tensor.f_kind().ok()?;
        let fits = matches!(kind, Kind::Float | Kind::Double | Kind::Int64) && tensor.device() == Device::Cpu && tensor.is_contiguous();
        fits.then(|| Self { first: tensor.data_ptr(), kind, length: tensor.numel() })
    }
}

/// Which numbers the rank at `place` of `process_group` adds up.
fn share_of(length: usize, place: usize, ranks: usize) -> Range<usize> {
    if length < SHARED_NUMBERS {
        return if place == 0 { 0..length } else { 0..0 };
    }
    let at = |place: usize| length * place / ranks;
    at(place)..at(place + 1)
}

/// Does one rank's share. `T` is the type of the parts' kind.
fn reduce<T: Copy + Default + std::ops::AddAssign>(parts: &[Part], share: Range<usize>, op: Op) {
    let mut sums = [T::default(); BLOCK];
    let mut at = share.start;
    while at < share.end {
        let length = BLOCK.min(share.end - at);
        let sums = &mut sums[..length];
        for (place, part) in parts.iter().enumerate() {
            // SAFETY: the tensor has more than `at` numbers of type T.
            let first = unsafe { part.first.cast::<T>().add(at) };
            // SAFETY: `length` numbers follow, which live until all have done their share. Only this rank touches these.
            let values = unsafe { std::slice::from_raw_parts(first, length) };
            match (place, op) {
                (0, _) => sums.copy_from_slice(values),
                (_, Op::Broadcast) => break,
                (_, Op::Sum) => sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += *value),
            }
        }
        for part in parts {
            // SAFETY: as above.
            let first = unsafe { part.first.cast::<T>().add(at) };
            // SAFETY: as above; no other slice of these numbers is alive.
            let values = unsafe { std::slice::from_raw_parts_mut(first, length) };
            values.copy_from_slice(sums);
        }
        at += length;
    }
}

/// See the module.
struct LocalGroup {
    size: usize,
    state: Mutex<State>,
    changed: Condvar,
    /// The number of meetings where all have arrived, and where all are done: copies of the state's, for reading without the lock.
    met: AtomicU64,
    done: AtomicU64,
}

#[derive(Default)]
struct State {
    parts: Vec<Option<Part>>,
    /// Ranks that have arrived at the next meeting, and that have done their share of the last one.
    came: usize,
    leaving: usize,
    met: u64,
    done: u64,
    broken: Option<String>,
}

impl LocalGroup {
    fn open(size: usize) -> (u64, Arc<Self>) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let state = Mutex::new(State { parts: vec![None; size], ..State::default() });
        let group = Arc::new(Self { size, state, changed: Condvar::new(), met: AtomicU64::new(0), done: AtomicU64::new(0) });
        let mut groups = GROUPS.lock().unwrap_or_else(PoisonError::into_inner);
        let groups = groups.get_or_insert_default();
        groups.retain(|_, group| group.strong_count() > 0);
        groups.insert(number, Arc::downgrade(&group));
        (number, group)
    }

    fn of(number: u64) -> Option<Arc<Self>> {
        GROUPS.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(&number)?.upgrade()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn break_up(&self, why: &str) {
        self.lock().broken.get_or_insert_with(|| why.to_owned());
        self.changed.notify_all();
    }

    /// Brings a part to the next meeting. Returns the meeting's number.
    fn come(&self, place: usize, part: Part) -> Result<u64, MeetError> {
        let mut state = self.lock();
        if let Some(why) = &state.broken {
            return Err(MeetError::Broken(why.clone()));
        }
        state.parts[place] = Some(part);
        state.came += 1;
        let meeting = state.met + 1;
        if state.came == self.size {
            state.came = 0;
            state.met = meeting;
            self.met.store(meeting, Ordering::Release);
            self.changed.notify_all();
        }
        Ok(meeting)
    }

    fn wait_for_all(&self, meeting: u64, rank: usize, limits: &WaitLimits<'_>) -> Result<(), MeetError> {
        if spin_until(&self.met, meeting) {
            return Ok(());
        }
        let since = Instant::now();
        let mut state = self.lock();
        while state.met < meeting {
            if let Some(why) = &state.broken {
                return Err(MeetError::Broken(why.clone()));
            }
            // Set under the lock that the last rank to arrive needs: either all have arrived, or there will be no more meetings.
            if limits.canceled.load(Ordering::Relaxed) {
                state.broken = Some(format!("rank {rank} was stopped"));
                self.changed.notify_all();
                return Err(MeetError::Canceled);
            }
            if since.elapsed() >= limits.deadline {
                let why = format!("not all workers came within {} s", limits.deadline.as_secs_f64());
                state.broken = Some(why.clone());
                self.changed.notify_all();
                return Err(MeetError::Broken(why));
            }
            state = self.changed.wait_timeout(state, LOOK).unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// The parts of the current meeting.
    fn parts(&self) -> Vec<Part> {
        self.lock().parts.iter().filter_map(|part| *part).collect()
    }
}

/// Whether the counter reached this value within [`SPIN`].
fn spin_until(counter: &AtomicU64, meeting: u64) -> bool {
    let since = Instant::now();
    loop {
        for _ in 0..64 {
            if counter.load(Ordering::Acquire) >= meeting {
                return true;
            }
            std::hint::spin_loop();
        }
        if since.elapsed() >= SPIN {
            return false;
        }
    }
}

/// A rank in a meeting. It leaves when all have done their share.
struct Leaving<'a> {
    group: &'a LocalGroup,
    meeting: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.group.lock();
        state.leaving += 1;
        if state.leaving == self.group.size {
            state.leaving = 0;
            state.done = self.meeting;
            self.group.done.store(self.meeting, Ordering::Release);
            self.group.changed.notify_all();
            return;
        }
        drop(state);
        if spin_until(&self.group.done, self.meeting) {
            return;
        }
        let mut state = self.group.lock();
        while state.done < self.meeting {
            state = self.group.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_cover_all_numbers_once() {
        for (length, ranks) in [(0, 2), (5, 3), (SHARED_NUMBERS, 3), (100_003, 7)] {
            let all: Vec<usize> = (0..ranks).flat_map(|place| share_of(length, place, ranks)).collect();
            assert_eq!(all, (0..length).collect::<Vec<_>>());
        }
    }
}

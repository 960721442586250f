//! Ranks of one process add up in memory, without sockets.
//!
//! A sum is a *meeting*. Each rank brings its tensor and waits until all have arrived. Then each adds up its share of the
//! numbers, in the order of the ranks, and writes the sums into the tensors of all. No rank leaves before all have done their
//! share. So no tensor is freed while another rank reads it, and all ranks get the same bits.
//!
//! Waiting for others checks for a cancellation and has a deadline. A rank that gives up or is dropped breaks the room, and all
//! others end with an error that has the reason. Once all have arrived, ranks only wait for memory, and nothing interrupts that.
//!
//! The ranks find one another by the board: each puts the name of its process there, and the first rank of a process puts the
//! number of its room there. A room belongs to its ranks and is dropped with the last of them. Used by the tasks' threads.

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

use super::board::Waiting;

/// How long a rank waits for the others without sleeping: waking up takes as long as a short sum.
const SPIN: Duration = Duration::from_micros(60);
/// How often a sleeping rank checks for a cancellation.
const LOOK: Duration = Duration::from_millis(50);
/// Fewer numbers than these are added up by one rank.
const SHARED_NUMBERS: usize = 1024;
/// Numbers that are added up at a time.
const BLOCK: usize = 2048;

static ROOMS: Mutex<Option<HashMap<u64, Weak<Room>>>> = Mutex::new(None);

/// A name that no other process has.
static PROCESS: LazyLock<String> = LazyLock::new(|| {
    let random = || RandomState::new().hash_one(std::process::id());
    format!("{}-{:016x}{:016x}", std::process::id(), random(), random())
});

/// Where a rank finds the others: those of its own process, and the representative of each process.
pub(super) struct Found {
    /// None if a rank is alone in its process.
    pub(super) seat: Option<Seat>,
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
        return Ok(Found { seat: None, leaders });
    };
    let key = format!("room/{}", mates[0]);
    let room = if place == 0 {
        let (number, room) = Room::open(mates.len());
        board.put(&key, &number.to_le_bytes())?;
        room
    } else {
        let number = board.get(&key)?.try_into().map(u64::from_le_bytes).unwrap_or(0);
        Room::of(number).ok_or_else(|| EngineError::Peer {
            rank,
            world,
            phase: super::ranks::JOINING.to_owned(),
            cause: format!("rank {} has left", mates[0]),
        })?
    };
    Ok(Found { seat: Some(Seat { room, place, rank }), leaders })
}

/// The purpose of a meeting.
#[derive(Clone, Copy)]
pub(super) enum Aim {
    /// All tensors become the sum of all.
    Add,
    /// All become as the first rank's.
    TakeFirst,
}

/// Why there was no meeting.
pub(super) enum Missed {
    Canceled,
    /// A rank is gone or too late, with its number and the reason.
    Broken(String),
}

/// How a rank waits for others.
pub(super) struct Patience<'a> {
    pub(super) canceled: &'a AtomicBool,
    pub(super) deadline: Duration,
}

/// A rank's place in a room; the room is broken for the others when it is dropped.
pub(super) struct Seat {
    room: Arc<Room>,
    place: usize,
    rank: usize,
}

impl Seat {
    /// Whether it represents its process.
    pub(super) fn leads(&self) -> bool {
        self.place == 0
    }

    /// Meets the others over dense tensors of equal sizes; see [`Aim`].
    pub(super) fn meet(&self, tensor: &Tensor, aim: Aim, patience: &Patience<'_>) -> Result<(), Missed> {
        let part = Part::of(tensor).ok_or_else(|| Missed::Broken(format!("a tensor of {:?} cannot be added up", tensor.f_kind())))?;
        let turn = self.room.come(self.place, part)?;
        self.room.wait_for_all(turn, self.rank, patience)?;
        let _done = Leaving { room: &self.room, turn };
        let parts = self.room.parts();
        if parts.iter().any(|other| (other.kind, other.length) != (part.kind, part.length)) {
            return Err(Missed::Broken("the ranks' tensors are not alike".into()));
        }
        let share = share_of(part.length, self.place, parts.len());
        match part.kind {
            Kind::Float => unite::<f32>(&parts, share, aim),
            Kind::Double => unite::<f64>(&parts, share, aim),
            _ => unite::<i64>(&parts, share, aim),
        }
        Ok(())
    }

    /// Ends all meetings to come with an error.
    pub(super) fn break_up(&self, why: &str) {
        self.room.break_up(why);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.room.break_up(&format!("rank {} has left", self.rank));
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

/// Which numbers the rank at `place` of `ranks` adds up.
fn share_of(length: usize, place: usize, ranks: usize) -> Range<usize> {
    if length < SHARED_NUMBERS {
        return if place == 0 { 0..length } else { 0..0 };
    }
    let at = |place: usize| length * place / ranks;
    at(place)..at(place + 1)
}

/// Does one rank's share. `T` is the type of the parts' kind.
fn unite<T: Copy + Default + std::ops::AddAssign>(parts: &[Part], share: Range<usize>, aim: Aim) {
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
            match (place, aim) {
                (0, _) => sums.copy_from_slice(values),
                (_, Aim::TakeFirst) => break,
                (_, Aim::Add) => sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += *value),
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
struct Room {
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

impl Room {
    fn open(size: usize) -> (u64, Arc<Self>) {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let state = Mutex::new(State { parts: vec![None; size], ..State::default() });
        let room = Arc::new(Self { size, state, changed: Condvar::new(), met: AtomicU64::new(0), done: AtomicU64::new(0) });
        let mut rooms = ROOMS.lock().unwrap_or_else(PoisonError::into_inner);
        let rooms = rooms.get_or_insert_default();
        rooms.retain(|_, room| room.strong_count() > 0);
        rooms.insert(number, Arc::downgrade(&room));
        (number, room)
    }

    fn of(number: u64) -> Option<Arc<Self>> {
        ROOMS.lock().unwrap_or_else(PoisonError::into_inner).as_ref()?.get(&number)?.upgrade()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn break_up(&self, why: &str) {
        self.lock().broken.get_or_insert_with(|| why.to_owned());
        self.changed.notify_all();
    }

    /// Brings a part to the next meeting. Returns the meeting's number.
    fn come(&self, place: usize, part: Part) -> Result<u64, Missed> {
        let mut state = self.lock();
        if let Some(why) = &state.broken {
            return Err(Missed::Broken(why.clone()));
        }
        state.parts[place] = Some(part);
        state.came += 1;
        let turn = state.met + 1;
        if state.came == self.size {
            state.came = 0;
            state.met = turn;
            self.met.store(turn, Ordering::Release);
            self.changed.notify_all();
        }
        Ok(turn)
    }

    fn wait_for_all(&self, turn: u64, rank: usize, patience: &Patience<'_>) -> Result<(), Missed> {
        if spin_until(&self.met, turn) {
            return Ok(());
        }
        let since = Instant::now();
        let mut state = self.lock();
        while state.met < turn {
            if let Some(why) = &state.broken {
                return Err(Missed::Broken(why.clone()));
            }
            // Set under the lock that the last rank to arrive needs: either all have arrived, or there will be no more meetings.
            if patience.canceled.load(Ordering::Relaxed) {
                state.broken = Some(format!("rank {rank} was stopped"));
                self.changed.notify_all();
                return Err(Missed::Canceled);
            }
            if since.elapsed() >= patience.deadline {
                let why = format!("not all workers came within {} s", patience.deadline.as_secs_f64());
                state.broken = Some(why.clone());
                self.changed.notify_all();
                return Err(Missed::Broken(why));
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
fn spin_until(counter: &AtomicU64, turn: u64) -> bool {
    let since = Instant::now();
    loop {
        for _ in 0..64 {
            if counter.load(Ordering::Acquire) >= turn {
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
    room: &'a Room,
    turn: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        let mut state = self.room.lock();
        state.leaving += 1;
        if state.leaving == self.room.size {
            state.leaving = 0;
            state.done = self.turn;
            self.room.done.store(self.turn, Ordering::Release);
            self.room.changed.notify_all();
            return;
        }
        drop(state);
        if spin_until(&self.room.done, self.turn) {
            return;
        }
        let mut state = self.room.lock();
        while state.done < self.turn {
            state = self.room.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
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

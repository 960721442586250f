//! Which rows make which batch.
//!
//! Every row has a *shard*, which depends on its position in the data and not on the worker. A worker has the shards whose number
//! modulo the number of workers is its rank. In each epoch the rows of each shard are shuffled, by seed, epoch and shard. The
//! global sequence takes the first row of each shard, then the second of each that has one, and so on, and is cut into batches. So
//! a batch holds the same rows for any number of workers. A worker can compute its part of every batch from the numbers of rows
//! in all shards. Parts have equal sizes if shards do.

use super::random::Stream;

/// Purpose of the stream of random numbers.
const PURPOSE: u64 = 1;

/// A worker's part of a batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LocalBatch {
    /// Rows of the dataset.
    pub(super) rows: Vec<u32>,
    /// Position of each in the global batch.
    pub(super) positions: Vec<u32>,
    /// Rows of the global batch.
    pub(super) global_rows: usize,
}

/// How rows that do not fill an epoch's last batch are used. The same for any number of workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tail {
    /// They are a batch of their own.
    Kept,
    /// They are left out of the epoch: other rows in each epoch.
    Dropped,
    /// Less than half a batch goes to the batch before, if there is one: each worker's part of a short batch could be a single row,
    /// which batch normalization cannot learn from.
    Joined,
}

/// A worker's row in the global sequence.
#[derive(Debug, Clone, Copy)]
struct GlobalPosition {
    shard: u32,
    round: u32,
    position: u64,
}

/// See the module.
pub(super) struct Sampler {
    seed: u64,
    batch_rows: u64,
    tail: Tail,
    /// Training rows of all workers.
    total: u64,
    /// Own rows of each shard, in the order of their ids; empty for shards of others.
    shards: Vec<Vec<u32>>,
    /// Own positions in the global sequence, in order.
    positions: Vec<GlobalPosition>,
    /// Of the epoch that `shuffled` is for.
    epoch: Option<usize>,
    shuffled: Vec<Vec<u32>>,
}

/// A worker's training rows by shard. `rows` gives (row, shard, id).
pub(super) fn by_shard(shards: u32, rows: impl Iterator<Item = (u32, u32, i64)>) -> Vec<Vec<u32>> {
    let mut all: Vec<Vec<(i64, u32)>> = vec![Vec::new(); shards as usize];
    for (row, shard, id) in rows {
        all[shard as usize].push((id, row));
    }
    let ordered = |mut shard: Vec<(i64, u32)>| {
        shard.sort_unstable();
        shard.into_iter().map(|(_, row)| row).collect()
    };
    all.into_iter().map(ordered).collect()
}

impl Sampler {
    /// `shards`: own rows by shard; `counts`: rows of all workers by shard.
    pub(super) fn new(seed: u64, batch_rows: usize, tail: Tail, shards: Vec<Vec<u32>>, counts: &[u64]) -> Self {
        let mut positions = Vec::with_capacity(shards.iter().map(Vec::len).sum());
        let mut active: Vec<u32> = (0..counts.len() as u32).filter(|shard| counts[*shard as usize] > 0).collect();
        let (mut position, mut round) = (0_u64, 0_u32);
        while !active.is_empty() {
            for &shard in &active {
                if !shards[shard as usize].is_empty() {
                    positions.push(GlobalPosition { shard, round, position });
                }
                position += 1;
            }
            round += 1;
            active.retain(|shard| counts[*shard as usize] > u64::from(round));
        }
        Self { seed, batch_rows: batch_rows as u64, tail, total: position, shards, positions, epoch: None, shuffled: Vec::new() }
    }

    /// Training rows of all workers.
    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Batches of an epoch.
    pub(super) fn batches(&self) -> usize {
        let (whole, rest) = (self.total / self.batch_rows, self.total % self.batch_rows);
        let own_tail = match self.tail {
            Tail::Kept => rest > 0,
            Tail::Dropped => false,
            Tail::Joined => rest > 0 && (whole == 0 || rest >= self.batch_rows.div_ceil(2)),
        };
        usize::try_from(whole + u64::from(own_tail)).unwrap_or(usize::MAX)
    }

    /// This worker's part of a batch.
    pub(super) fn part(&mut self, epoch: usize, batch: usize) -> LocalBatch {
        if self.epoch != Some(epoch) {
            self.shuffle(epoch);
        }
        let first = batch as u64 * self.batch_rows;
        let takes_rest = self.tail == Tail::Joined && batch + 1 == self.batches();
        let end = if takes_rest { self.total } else { first.saturating_add(self.batch_rows).min(self.total) };
        let from = self.positions.partition_point(|p| p.position < first);
        let to = self.positions.partition_point(|p| p.position < end);
        let own = &self.positions[from..to];
        LocalBatch {
            rows: own.iter().map(|p| self.shuffled[p.shard as usize][p.round as usize]).collect(),
            positions: own.iter().map(|p| u32::try_from(p.position - first).unwrap_or(u32::MAX)).collect(),
            global_rows: usize::try_from(end - first).unwrap_or(usize::MAX),
        }
    }

    fn shuffle(&mut self, epoch: usize) {
        let one = |(shard, rows): (usize, &Vec<u32>)| {
            let mut rows = rows.clone();
            Stream::of(&[self.seed, PURPOSE, epoch as u64, shard as u64]).shuffle(&mut rows);
            rows
        };
        self.shuffled = self.shards.iter().enumerate().map(one).collect();
        self.epoch = Some(epoch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: u32 = 103;
    const SHARDS: u32 = 8;

    /// Ids of every batch of an epoch, with this many workers; rows come to a worker in an order of their own.
    fn batches(workers: u32, epoch: usize) -> Vec<Vec<i64>> {
        let counts: Vec<u64> = (0..SHARDS).map(|s| (0..ROWS).filter(|r| r % SHARDS == s).count() as u64).collect();
        let mut all: Vec<Vec<(u32, i64)>> = Vec::new();
        for rank in 0..workers {
            let own: Vec<u32> = (0..ROWS).rev().filter(|r| r % SHARDS % workers == rank).collect();
            let shards = by_shard(SHARDS, own.iter().enumerate().map(|(i, r)| (i as u32, r % SHARDS, i64::from(*r))));
            let mut sampler = Sampler::new(7, 8, Tail::Kept, shards, &counts);
            assert_eq!((sampler.total(), sampler.batches()), (103, 13));
            all.resize(sampler.batches(), Vec::new());
            for (batch, ids) in all.iter_mut().enumerate() {
                let part = sampler.part(epoch, batch);
                ids.extend(part.positions.iter().zip(&part.rows).map(|(position, row)| (*position, i64::from(own[*row as usize]))));
            }
        }
        all.into_iter()
            .map(|mut batch| {
                batch.sort_unstable();
                assert!(batch.iter().enumerate().all(|(i, (position, _))| i as u32 == *position), "positions are 0, 1, 2…");
                batch.into_iter().map(|(_, id)| id).collect()
            })
            .collect()
    }

    #[test]
    fn batches_are_the_same_whatever_the_number_of_workers_and_hold_every_row_once() {
        let one = batches(1, 0);
        for workers in [2, 3, 4, 8, 16] {
            assert_eq!(one, batches(workers, 0), "{workers} workers");
        }
        let mut ids: Vec<i64> = one.into_iter().flatten().collect();
        ids.sort_unstable();
        assert_eq!(ids, (0..i64::from(ROWS)).collect::<Vec<_>>());
    }

    #[test]
    fn epochs_differ() {
        assert_ne!(batches(1, 0), batches(1, 1));
    }

    #[test]
    fn no_rows_make_no_batches() {
        for tail in [Tail::Kept, Tail::Dropped, Tail::Joined] {
            let sampler = Sampler::new(7, 8, tail, vec![Vec::new(); 4], &[0; 4]);
            assert_eq!((sampler.total(), sampler.batches()), (0, 0));
        }
    }

    /// Rows of each batch of an epoch with this many rows, in batches of 8.
    fn sizes(rows: u32, tail: Tail) -> Vec<usize> {
        let shards = by_shard(4, (0..rows).map(|r| (r, r % 4, i64::from(r))));
        let counts: Vec<u64> = shards.iter().map(|shard| shard.len() as u64).collect();
        let mut sampler = Sampler::new(7, 8, tail, shards, &counts);
        (0..sampler.batches()).map(|batch| sampler.part(0, batch)).map(|part| part.rows.len().max(part.global_rows)).collect()
    }

    #[test]
    fn the_rest_is_a_batch_is_left_out_or_joins_the_batch_before() {
        assert_eq!(sizes(19, Tail::Kept), [8, 8, 3]);
        assert_eq!(sizes(19, Tail::Dropped), [8, 8]);
        assert_eq!(sizes(19, Tail::Joined), [8, 11]);
        assert_eq!(sizes(20, Tail::Joined), [8, 8, 4], "half a batch is enough for one of its own");
        assert_eq!(sizes(16, Tail::Joined), [8, 8]);
        assert_eq!(sizes(3, Tail::Joined), [3], "there is none before");
        assert_eq!(sizes(3, Tail::Dropped), [0; 0]);
    }
}

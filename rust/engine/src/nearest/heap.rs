//! The best neighbors of one query so far, at most `k`.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use super::ids::Id;

/// The greater one is the worse: it has the lower score, or the same score and the greater id.
#[derive(Debug, PartialEq)]
struct Neighbor {
    score: f64,
    id: Id,
}

impl Eq for Neighbor {}

impl Ord for Neighbor {
    fn cmp(&self, other: &Self) -> Ordering {
        other.score.total_cmp(&self.score).then_with(|| self.id.cmp(&other.id))
    }
}

impl PartialOrd for Neighbor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

#[derive(Debug)]
pub(super) struct Heap {
    most: usize,
    neighbors: BinaryHeap<Neighbor>,
}

impl Heap {
    pub(super) fn new(most: usize) -> Self {
        Self { most, neighbors: BinaryHeap::new() }
    }

    /// The score that a row must reach to come in; none while there is room.
    pub(super) fn worst(&self) -> Option<f64> {
        self.neighbors.peek().filter(|_| self.neighbors.len() >= self.most).map(|worst| worst.score)
    }

    /// Takes a neighbor if it is among the best; whether it was taken.
    pub(super) fn offer(&mut self, score: f64, id: Id) -> bool {
        let neighbor = Neighbor { score, id };
        if self.neighbors.len() < self.most {
            self.neighbors.push(neighbor);
            return true;
        }
        match self.neighbors.peek_mut() {
            Some(mut worst) if neighbor < *worst => {
                *worst = neighbor;
                true
            }
            _ => false,
        }
    }

    /// Score and id, the best first.
    pub(super) fn into_sorted(self) -> impl Iterator<Item = (f64, Id)> {
        self.neighbors.into_sorted_vec().into_iter().map(|neighbor| (neighbor.score, neighbor.id))
    }
}

//! Batches of groups that step together: of each group some of its rows, side by side.
//!
//! Groups differ in size, so a group's rows are padded to the number of the largest group in a step; places without a row have the
//! share 0. In every epoch a group's rows are shuffled, by seed, epoch and the group's id.

use std::collections::HashMap;

use flambeau_engine::EngineError;
use tch::{TchError, Tensor};

use super::dataset::{Dense, MappedDataset};
use super::groups_spec::GroupsSpec;
use super::loss::Loss;
use super::random::Stream;

/// Purpose of the stream of random numbers.
const PURPOSE: u64 = 5;

/// One group's rows of the dataset.
pub(super) struct Group {
    pub(super) id: i64,
    pub(super) rows: Vec<u32>,
}

/// Rows of one step, `width` places for each group.
pub(super) struct GroupBatch {
    /// `[groups, width, inputs]`.
    pub(super) features: Tensor,
    /// Of all places, group by group.
    pub(super) target: Tensor,
    /// `[groups, width]`: weights of a group's rows, divided by their sum.
    pub(super) shares: Tensor,
    /// Sum of weights of each group, those of classes included.
    pub(super) weights: Vec<f64>,
}

/// See the module.
pub(super) struct GroupSampler<'a> {
    spec: &'a GroupsSpec,
    dataset: &'a MappedDataset,
    dense: &'a Dense,
    pub(super) loss: &'a Loss,
    groups: &'a [Group],
    /// Of an epoch.
    pub(super) steps: usize,
    /// The only batch, where an epoch is one step.
    whole: Option<GroupBatch>,
    /// Rows of each group in the order of this epoch.
    orders: (usize, Vec<Vec<u32>>),
}

/// Training rows by group, each group's by their ids; smallest groups first.
pub(super) fn groups_of(dataset: &MappedDataset) -> Result<Vec<Group>, EngineError> {
    let ids = dataset.rows.groups.as_ref().ok_or_else(|| EngineError::BadRequest("the dataset has no column __group".into()))?;
    let mut by_id: HashMap<i64, Vec<u32>> = HashMap::new();
    for (row, id) in ids.iter().enumerate().filter(|(row, _)| !dataset.rows.is_validation(*row)) {
        by_id.entry(*id).or_default().push(row as u32);
    }
    let mut groups: Vec<Group> = by_id.into_iter().map(|(id, rows)| Group { id, rows }).collect();
    for group in &mut groups {
        group.rows.sort_by_key(|row| dataset.rows.id(*row as usize));
    }
    groups.sort_by_key(|group| (group.rows.len(), group.id));
    Ok(groups)
}

impl<'a> GroupSampler<'a> {
    /// For groups of equally many steps an epoch.
    pub(super) fn new(
        spec: &'a GroupsSpec,
        dataset: &'a MappedDataset,
        dense: &'a Dense,
        loss: &'a Loss,
        groups: &'a [Group],
    ) -> Result<Self, TchError> {
        let steps = groups.iter().map(|g| g.rows.len().div_ceil(spec.batch(g.rows.len()))).max().unwrap_or(0);
        let mut sampler = Self { spec, dataset, dense, loss, groups, steps, whole: None, orders: (usize::MAX, Vec::new()) };
        if steps == 1 {
            sampler.whole = Some(sampler.made(groups.iter().map(|g| g.rows.as_slice()).collect())?);
        }
        Ok(sampler)
    }

    /// A batch, for `learn`.
    pub(super) fn with_batch<T>(&mut self, epoch: usize, step: usize, learn: impl FnOnce(&GroupBatch) -> T) -> Result<T, TchError> {
        if let Some(whole) = &self.whole {
            return Ok(learn(whole));
        }
        if self.orders.0 != epoch {
            self.orders = (epoch, self.groups.iter().map(|group| self.shuffled(group, epoch)).collect());
        }
        let part = |rows: &'_ Vec<u32>| rows.chunks(self.spec.batch(rows.len())).nth(step).map(<[u32]>::to_vec).unwrap_or_default();
        let parts: Vec<Vec<u32>> = self.orders.1.iter().map(part).collect();
        Ok(learn(&self.made(parts.iter().map(Vec::as_slice).collect())?))
    }

    fn shuffled(&self, group: &Group, epoch: usize) -> Vec<u32> {
        let mut rows = group.rows.clone();
        Stream::of(&[self.spec.seed, PURPOSE, epoch as u64, group.id as u64]).shuffle(&mut rows);
        rows
    }

    /// The tensors of one step, from each group's rows in it.
    fn made(&self, rows: Vec<&[u32]>) -> Result<GroupBatch, TchError> {
        let width = rows.iter().map(|own| own.len()).max().unwrap_or(0);
        let labels = &self.dataset.rows.labels;
        let weight = |row: u32| self.dataset.rows.weights.as_ref().map_or(1.0, |w| w[row as usize]);
        // The weight of a row's class only counts in the sum: each row's loss already includes it.
        let counted = |row: &u32| weight(*row) * self.loss.class_factor(labels, *row);
        let weights: Vec<f64> = rows.iter().map(|own| own.iter().map(counted).sum()).collect();
        let mut shares = vec![0_f32; rows.len() * width];
        let mut places = vec![0_u32; rows.len() * width];
        for (((own, sum), shares), places) in
            rows.iter().zip(&weights).zip(shares.chunks_mut(width.max(1))).zip(places.chunks_mut(width.max(1)))
        {
            // A place without a row repeats the group's first row, with weight 0.
            places.fill(own.first().copied().unwrap_or(0));
            places[..own.len()].copy_from_slice(own);
            for (share, row) in shares.iter_mut().zip(*own) {
                *share = if *sum > 0.0 { (weight(*row) / sum) as f32 } else { 0.0 };
            }
        }
        let (groups, inputs) = (rows.len() as i64, self.dense.width as i64);
        let features = self.dense.gather(&places)?.f_view([groups, width as i64, inputs])?;
        let target = self.loss.target(labels, None, &places)?.tensor;
        let shares = Tensor::f_from_slice(&shares)?.f_view([groups, width as i64])?;
        Ok(GroupBatch { features, target, shares, weights })
    }
}

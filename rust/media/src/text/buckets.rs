//! Which rows go through the program together.
//!
//! A batch is a rectangle: every row is padded to the longest one, and padding costs as much as real tokens. So rows are sorted
//! by length, and the sorted sequence is cut where that is cheapest. The cost of a batch is its padded tokens plus a fixed charge
//! for one more forward pass. The cheapest set of cuts is found exactly (dynamic programming over the sorted rows, `rows ×
//! max_rows` steps at most). Results are put back into row order by [`Bucket::rows`].

/// Rows that share one forward pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bucket {
    /// Indices of the rows, shortest first; equal lengths in their original order.
    pub rows: Vec<usize>,
    /// Length to pad every row to: that of the longest row, at least 1.
    pub length: usize,
}

impl Bucket {
    /// Tokens of the padded rectangle.
    #[must_use]
    pub fn padded(&self) -> usize {
        self.rows.len() * self.length
    }
}

/// Groups rows of near equal length into batches of at most `max_rows` rows and `max_tokens` padded tokens.
///
/// Every row is in exactly one bucket; a row longer than `max_tokens` gets a bucket of its own. The same lengths always
/// give the same buckets. Zero as a limit counts as one. Lengths may be tokens or samples.
#[must_use]
pub fn plan_batches(lengths: &[usize], max_rows: usize, max_tokens: usize) -> Vec<Bucket> {
    let (max_rows, max_tokens) = (max_rows.max(1), max_tokens.max(1));
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|&row| lengths[row]);
    let padded_to: Vec<usize> = order.iter().map(|&row| lengths[row].max(1)).collect();

    // One more pass must save at least this many padded tokens: a quarter of the padding-free share of one row.
    let pass_cost = max_tokens / max_rows / 4;
    // cheapest[n] = cost of the best cut of the n shortest rows; cut_from[n] = where its last bucket starts.
    let mut cheapest = vec![0usize; order.len() + 1];
    let mut cut_from = vec![0usize; order.len() + 1];
    for end in 1..=order.len() {
        let length = padded_to[end - 1];
        let fits = (max_tokens / length).clamp(1, max_rows);
        let mut best = usize::MAX;
        for start in (end.saturating_sub(fits)..end).rev() {
            let cost = cheapest[start].saturating_add((end - start).saturating_mul(length)).saturating_add(pass_cost);
            if start + 1 == end || cost < best {
                (best, cut_from[end]) = (cost, start);
            }
        }
        cheapest[end] = best;
    }

    let mut buckets = Vec::new();
    let mut end = order.len();
    while end > 0 {
        let start = cut_from[end];
        buckets.push(Bucket { rows: order[start..end].to_vec(), length: padded_to[end - 1] });
        end = start;
    }
    buckets.reverse();
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Real tokens over padded tokens of a plan, 0 to 1; 1 for no rows.
    fn fill_ratio(lengths: &[usize], buckets: &[Bucket]) -> f64 {
        let padded: usize = buckets.iter().map(Bucket::padded).sum();
        let real: usize = lengths.iter().sum();
        if padded == 0 { 1.0 } else { real as f64 / padded as f64 }
    }

    proptest! {
        #[test]
        fn every_row_once_and_within_budget(
            lengths in prop::collection::vec(0usize..600, 0..400),
            max_rows in 0usize..70,
            max_tokens in 0usize..5_000,
        ) {
            let buckets = plan_batches(&lengths, max_rows, max_tokens);
            let mut seen: Vec<usize> = buckets.iter().flat_map(|b| b.rows.iter().copied()).collect();
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
            for bucket in &buckets {
                prop_assert!(!bucket.rows.is_empty());
                prop_assert!(bucket.rows.len() <= max_rows.max(1));
                prop_assert!(bucket.padded() <= max_tokens.max(1) || bucket.rows.len() == 1);
                let longest = bucket.rows.iter().map(|&r| lengths[r]).max().unwrap_or(0);
                prop_assert_eq!(bucket.length, longest.max(1));
                prop_assert!(bucket.rows.is_sorted_by_key(|&r| (lengths[r], r)));
            }
            prop_assert_eq!(&buckets, &plan_batches(&lengths, max_rows, max_tokens));
            let fill = fill_ratio(&lengths, &buckets);
            prop_assert!((0.0..=1.0).contains(&fill));
        }

        #[test]
        fn never_more_padding_than_arrival_order(lengths in prop::collection::vec(1usize..129, 1..300)) {
            let arrival: usize = lengths.chunks(64).map(|c| c.len() * c.iter().max().unwrap()).sum();
            let planned: usize = plan_batches(&lengths, 64, 64 * 128).iter().map(Bucket::padded).sum();
            // 32 padded tokens is the charge of a pass here: the plan may take at most that much more per pass it saves.
            prop_assert!(planned <= arrival + 32 * lengths.len().div_ceil(64));
        }
    }

    #[test]
    fn edges() {
        assert!(plan_batches(&[], 8, 100).is_empty());
        assert_eq!(fill_ratio(&[], &[]), 1.0);
        assert_eq!(plan_batches(&[0], 8, 100), [Bucket { rows: vec![0], length: 1 }]);
        assert_eq!(plan_batches(&[5, 5, 5], 8, 100), [Bucket { rows: vec![0, 1, 2], length: 5 }]);
        assert_eq!(plan_batches(&[1_000_000, 3], 8, 100).len(), 2);
        assert_eq!(plan_batches(&[usize::MAX, usize::MAX], 8, 100).len(), 2);
    }

    #[test]
    fn outliers_are_kept_apart() {
        let mut lengths = vec![10; 63];
        lengths.push(128);
        let buckets = plan_batches(&lengths, 64, 64 * 128);
        assert_eq!(buckets.iter().map(|b| b.rows.len()).collect::<Vec<_>>(), [63, 1]);
        assert_eq!(fill_ratio(&lengths, &buckets), 1.0);
    }
}

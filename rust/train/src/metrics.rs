//! Metrics over validation rows, added up over all workers.
//!
//! All are weighted by the rows' weights:
//!
//! - *accuracy*: share of rows whose largest score (or, for `bce`, each output's side of 1/2) is right. Of pairs: of rows whose own
//!   partner is the most similar one of the pass;
//! - *f1*: the F-measure of each class, weighted by the class's weight, as in Spark's `MulticlassClassificationEvaluator`;
//! - *auc*: area under the ROC curve of two classes, by the Mann–Whitney statistic with ties counted half. It is exact: the
//!   scores of all workers are collected;
//! - *rmse*, *mae*: over all outputs;
//! - metrics by methods of the program: the mean of what the method gives for each row.
//!
//! A metric that is not defined (auc of one class only) is left out.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

use flambeau_engine::EngineError;

use super::budget;
use super::process_group::ProcessGroup;
use super::spec::LossKind;

/// The score of a row, and its label.
#[derive(Debug, Clone, Copy)]
struct Score {
    score: f64,
    positive: bool,
    weight: f64,
}

/// Sums over rows.
pub(super) struct MetricAccumulator {
    kind: LossKind,
    outputs: usize,
    /// The program's own loss does not define the meaning of outputs.
    only_loss: bool,
    loss: f64,
    loss_weight: f64,
    weight: f64,
    right: f64,
    squares: f64,
    absolutes: f64,
    /// Weight of true positives, of predictions and of labels of each class.
    hits: Vec<f64>,
    predicted: Vec<f64>,
    actual: Vec<f64>,
    scores: Vec<Score>,
    own: Vec<OwnMetric>,
}

/// A metric by a method of the program: its weighted sum over rows.
struct OwnMetric {
    name: String,
    sum: f64,
    weight: f64,
}

impl MetricAccumulator {
    /// `own`: names of metrics by methods of the program.
    pub(super) fn new(kind: LossKind, outputs: usize, only_loss: bool, own: &[String]) -> Self {
        let classes = match kind {
            LossKind::CrossEntropy => outputs,
            LossKind::Bce if outputs == 1 => 2,
            _ => 0,
        };
        let zeros = || vec![0.0; classes];
        let (hits, predicted, actual) = (zeros(), zeros(), zeros());
        Self {
            kind,
            outputs,
            only_loss,
            loss: 0.0,
            loss_weight: 0.0,
            weight: 0.0,
            right: 0.0,
            squares: 0.0,
            absolutes: 0.0,
            hits,
            predicted,
            actual,
            scores: Vec::new(),
            own: own.iter().map(|name| OwnMetric { name: name.clone(), sum: 0.0, weight: 0.0 }).collect(),
        }
    }

    /// A row of a pair.
    pub(super) fn add_pair(&mut self, is_right: bool, weight: f64) {
        self.weight += weight;
        self.right += if is_right { weight } else { 0.0 };
    }

    /// A number and the weight of each of some rows.
    pub(super) fn add_own(&mut self, name: &str, rows: impl Iterator<Item = (f64, f64)>) {
        let Some(own) = self.own.iter_mut().find(|own| own.name == name) else { return };
        for (number, weight) in rows {
            own.sum += number * weight;
            own.weight += weight;
        }
    }

    /// The weighted sum of some rows' losses, and the sum of their weights.
    pub(super) fn add_loss(&mut self, loss: f64, weight: f64) {
        self.loss += loss;
        self.loss_weight += weight;
    }

    /// Rows with only a loss.
    pub(super) fn add_weight(&mut self, weight: f64) {
        self.weight += weight;
    }

    /// A row whose label is a class.
    pub(super) fn add_class(&mut self, scores: &[f64], class: usize, weight: f64) {
        let best = scores.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1).then(b.0.cmp(&a.0))).map_or(0, |(i, _)| i);
        self.add_decided(best, class, weight);
        if let [negative, positive] = scores {
            self.scores.push(Score { score: positive - negative, positive: class == 1, weight });
        }
    }

    fn add_decided(&mut self, best: usize, class: usize, weight: f64) {
        self.weight += weight;
        self.predicted[best] += weight;
        self.actual[class] += weight;
        if best == class {
            self.right += weight;
            self.hits[class] += weight;
        }
    }

    /// A row whose label is numbers.
    pub(super) fn add_values(&mut self, output: &[f64], label: &[f64], weight: f64) {
        if self.kind == LossKind::Bce {
            if let ([output], [label]) = (output, label) {
                let positive = *label >= 0.5;
                self.add_decided(usize::from(*output > 0.0), usize::from(positive), weight);
                self.scores.push(Score { score: *output, positive, weight });
            } else {
                self.weight += weight;
                let right = output.iter().zip(label).filter(|(o, l)| (**o > 0.0) == (**l >= 0.5)).count();
                self.right += weight * right as f64 / output.len().max(1) as f64;
            }
            return;
        }
        self.weight += weight;
        let share = weight / output.len().max(1) as f64;
        for (output, label) in output.iter().zip(label) {
            let error = *output - *label;
            self.squares += share * error * error;
            self.absolutes += share * error.abs();
        }
    }

    /// Adds up over all workers. Returns the mean loss and the metrics, or None if no row has any weight.
    pub(super) fn finish(mut self, ranks: &ProcessGroup, canceled: &AtomicBool) -> Result<Option<Metrics>, EngineError> {
        const PHASE: &str = "adding up validation metrics";
        let mut sums = vec![self.loss, self.loss_weight, self.weight, self.right, self.squares, self.absolutes];
        let classes = self.hits.len();
        sums.extend(self.hits.iter().chain(&self.predicted).chain(&self.actual));
        let before_own = sums.len();
        sums.extend(self.own.iter().flat_map(|own| [own.sum, own.weight]));
        ranks.sum_numbers(&mut sums, PHASE, canceled)?;
        let has_scores = matches!((self.kind, self.outputs), (LossKind::CrossEntropy, 2) | (LossKind::Bce, 1));
        let scores = if has_scores { gathered(std::mem::take(&mut self.scores), ranks, canceled)? } else { Vec::new() };
        let (loss, loss_weight, weight) = (sums[0], sums[1], sums[2]);
        if loss_weight <= 0.0 || weight <= 0.0 {
            return Ok(None);
        }
        let mut metrics = BTreeMap::new();
        for (own, sum) in self.own.iter().zip(sums[before_own..].chunks(2)) {
            metrics.insert(own.name.clone(), sum[0] / sum[1]);
        }
        if self.only_loss {
            metrics.retain(|_, value| value.is_finite());
            return Ok(Some(Metrics { loss: loss / loss_weight, metrics }));
        }
        if matches!(self.kind, LossKind::CrossEntropy | LossKind::Bce | LossKind::Contrastive) {
            metrics.insert("accuracy".to_owned(), sums[3] / weight);
            if classes > 0 {
                let of_classes = &sums[6..before_own];
                let f1 = weighted_f1(&of_classes[..classes], &of_classes[classes..2 * classes], &of_classes[2 * classes..]);
                metrics.insert("f1".to_owned(), f1);
            }
            if let Some(auc) = area_under_roc(scores) {
                metrics.insert("auc".to_owned(), auc);
            }
        } else {
            metrics.insert("rmse".to_owned(), (sums[4] / weight).sqrt());
            metrics.insert("mae".to_owned(), sums[5] / weight);
        }
        metrics.retain(|_, value| value.is_finite());
        Ok(Some(Metrics { loss: loss / loss_weight, metrics }))
    }
}

/// Of all workers' validation rows.
pub(super) struct Metrics {
    pub(super) loss: f64,
    pub(super) metrics: BTreeMap<String, f64>,
}

/// The scores of all workers, on every worker.
fn gathered(own: Vec<Score>, ranks: &ProcessGroup, canceled: &AtomicBool) -> Result<Vec<Score>, EngineError> {
    const PHASE: &str = "bringing validation scores together";
    const PARTS: usize = 3;
    if ranks.world == 1 {
        return Ok(own);
    }
    let mut counts = vec![0.0; ranks.world];
    counts[ranks.rank] = own.len() as f64;
    ranks.sum_numbers(&mut counts, PHASE, canceled)?;
    let before = counts[..ranks.rank].iter().sum::<f64>() as usize;
    let total = counts.iter().sum::<f64>() as usize;
    let mut all = budget::reserve::<f64>(total.saturating_mul(PARTS), "the scores of all validation rows, for auc")?;
    all.resize(total * PARTS, 0.0);
    for (row, score) in all[before * PARTS..].chunks_mut(PARTS).zip(&own) {
        row.copy_from_slice(&[score.score, f64::from(u8::from(score.positive)), score.weight]);
    }
    ranks.sum_numbers(&mut all, PHASE, canceled)?;
    Ok(all.chunks(PARTS).map(|row| Score { score: row[0], positive: row[1] > 0.5, weight: row[2] }).collect())
}

fn weighted_f1(hits: &[f64], predicted: &[f64], actual: &[f64]) -> f64 {
    let total: f64 = actual.iter().sum();
    let of_class = |((hit, predicted), actual): ((&f64, &f64), &f64)| {
        let both = predicted + actual;
        if both > 0.0 { actual / total * 2.0 * hit / both } else { 0.0 }
    };
    hits.iter().zip(predicted).zip(actual).map(of_class).sum()
}

/// None if all rows are of one class.
fn area_under_roc(mut scores: Vec<Score>) -> Option<f64> {
    scores.sort_by(|a, b| a.score.total_cmp(&b.score));
    let total = |positive| scores.iter().filter(|s| s.positive == positive).map(|s| s.weight).sum::<f64>();
    let (positives, negatives) = (total(true), total(false));
    if positives <= 0.0 || negatives <= 0.0 {
        return None;
    }
    let (mut below, mut wins) = (0.0, 0.0);
    for ties in scores.chunk_by(|a, b| a.score.total_cmp(&b.score).is_eq()) {
        let of = |positive| ties.iter().filter(|s| s.positive == positive).map(|s| s.weight).sum::<f64>();
        let negative = of(false);
        wins += of(true) * (below + negative / 2.0);
        below += negative;
    }
    Some(wins / (positives * negatives))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(metrics: MetricAccumulator) -> Metrics {
        metrics.finish(&ProcessGroup::alone(), &AtomicBool::new(false)).unwrap().unwrap()
    }

    #[test]
    fn classes() {
        let mut metrics = MetricAccumulator::new(LossKind::CrossEntropy, 2, false, &[]);
        for (scores, class) in [([0.1, 0.9], 1), ([0.8, 0.2], 0), ([0.6, 0.4], 1), ([0.3, 0.7], 0)] {
            metrics.add_class(&scores, class, 1.0);
        }
        metrics.add_loss(6.0, 4.0);
        let found = finish(metrics);
        assert!((found.loss - 1.5).abs() < 1e-12);
        assert!((found.metrics["accuracy"] - 0.5).abs() < 1e-12);
        assert!((found.metrics["f1"] - 0.5).abs() < 1e-12);
        assert!((found.metrics["auc"] - 0.75).abs() < 1e-6, "{}", found.metrics["auc"]);
    }

    #[test]
    fn values_and_weights() {
        let mut metrics = MetricAccumulator::new(LossKind::Mse, 1, false, &[]);
        metrics.add_values(&[3.0], &[1.0], 3.0);
        metrics.add_values(&[5.0], &[5.0], 1.0);
        metrics.add_loss(12.0, 4.0);
        let found = finish(metrics);
        assert!((found.metrics["rmse"] - 3.0_f64.sqrt()).abs() < 1e-12);
        assert!((found.metrics["mae"] - 1.5).abs() < 1e-12);
    }

    #[test]
    fn one_class_has_no_auc_and_no_rows_have_nothing() {
        let mut metrics = MetricAccumulator::new(LossKind::Bce, 1, false, &[]);
        metrics.add_values(&[3.0], &[1.0], 1.0);
        metrics.add_loss(0.1, 1.0);
        assert!(!finish(metrics).metrics.contains_key("auc"));
        let none = MetricAccumulator::new(LossKind::Bce, 1, false, &[]).finish(&ProcessGroup::alone(), &AtomicBool::new(false)).unwrap();
        assert!(none.is_none());
    }
}

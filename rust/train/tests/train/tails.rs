//! Rows that do not fill the last batch: left out, or added to the batch before if there is batch normalization.

use serde_json::{Value, json};

use crate::support::{Rows, alone, class_rows, difference, finish, head_spec, numbers, reference, train_with};

#[test]
fn what_drop_last_leaves_is_the_same_for_any_number_of_workers() {
    let rows = class_rows(false);
    let mut spec = head_spec();
    spec["drop_last"] = json!(true);
    let mut trainer = alone(&rows, &spec);
    let progress = finish(&mut trainer).unwrap();
    // 203 rows in batches of 32.
    assert_eq!((progress.steps_per_epoch, progress.ended[0].samples), (6, 192));
    let one = crate::support::parameters(&trainer);
    for (parameters, progress) in train_with(2, &rows, &spec) {
        assert_eq!(progress.ended[0].samples, 192);
        assert!(difference(&one, &parameters) < 1e-4);
    }
}

/// Rows of a program with batch normalization over plain features: a single row of a worker has no variance.
fn normalized(count: usize) -> (Rows, Value) {
    let all = &reference().0["x"];
    let x = (0..count).map(|i| numbers(&all[i]).into_iter().map(|v| v as f32).collect()).collect();
    let rows = Rows { x, labels: (0..count).map(|i| (i % 2) as f64).collect(), ..Rows::default() };
    let spec = json!({
        "program": {"package": reference().1.join("norm_rows")}, "inputs": ["x"], "loss": "cross_entropy",
        "optimizer": {"name": "sgd", "lr": 0.05}, "batch_rows": 16, "epochs": 2, "seed": 4,
    });
    (rows, spec)
}

#[test]
fn a_short_tail_joins_the_batch_before_where_rows_are_normalized_together() {
    for (count, steps) in [(50, 3), (49, 3), (56, 4), (48, 3)] {
        let (rows, spec) = normalized(count);
        let progress = finish(&mut alone(&rows, &spec)).unwrap();
        assert_eq!((progress.steps_per_epoch, progress.ended[0].samples), (steps, count as u64), "{count} rows");
        for (_, progress) in train_with(2, &rows, &spec) {
            assert_eq!((progress.steps_per_epoch, progress.ended[0].samples), (steps, count as u64), "{count} rows, 2 workers");
            assert!(progress.ended[1].train_loss.unwrap().is_finite());
        }
    }
}

#[test]
fn a_worker_with_a_single_row_of_a_batch_goes_on() {
    // Three rows in all: with two workers one of them has one.
    let (rows, spec) = normalized(3);
    for world in [2, 3] {
        for (parameters, progress) in train_with(world, &rows, &spec) {
            assert_eq!(progress.ended[0].samples, 3);
            assert!(parameters.values().flatten().all(|v| v.is_finite()));
        }
    }
    let (rows, spec) = normalized(1);
    assert!(finish(&mut alone(&rows, &spec)).unwrap().ended[1].train_loss.unwrap().is_finite());
}

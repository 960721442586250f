//! Validation rows: what is measured, when to stop, what is kept.

use flambeau_train::Event;
use serde_json::json;

use crate::support::{Rows, alone, class_rows, difference, finish, head_spec, parameters, reference, rows, train_with};

fn validated(rows: Rows) -> Rows {
    Rows { validation: Some((0..rows.x.len()).map(|i| i % 4 == 1).collect()), ..rows }
}

#[test]
fn validation_rows_are_measured_alike_by_any_number_of_workers_and_not_trained_on() {
    let (all, _) = reference();
    let bce = all["cases"].as_array().unwrap().iter().find(|case| case["name"] == "bce").unwrap();
    let rows = validated(rows(&bce["labels"], true));
    let spec = &bce["spec"];
    let mut trainer = alone(&rows, spec);
    let one = finish(&mut trainer).unwrap();
    let training = rows.validation.as_ref().unwrap().iter().filter(|v| !**v).count() as u64;
    for row in &one.ended {
        assert_eq!(row.samples, training);
        assert_eq!(row.metrics.keys().collect::<Vec<_>>(), ["accuracy", "auc", "f1"]);
        assert!(row.metrics.values().all(|v| (0.0..=1.0).contains(v)));
    }
    for (_, progress) in train_with(3, &rows, spec) {
        for (a, b) in one.ended.iter().zip(&progress.ended) {
            assert!((a.validation_loss.unwrap() - b.validation_loss.unwrap()).abs() < 1e-5);
            for (name, value) in &a.metrics {
                assert!((value - b.metrics[name]).abs() < 1e-5, "{name}: {value}, {}", b.metrics[name]);
            }
        }
    }
}

#[test]
fn regressions_have_rmse_and_mae() {
    let (all, _) = reference();
    let mse = all["cases"].as_array().unwrap().iter().find(|case| case["name"] == "mse").unwrap();
    let mut trainer = alone(&validated(rows(&mse["labels"], false)), &mse["spec"]);
    let progress = finish(&mut trainer).unwrap();
    let last = progress.ended.last().unwrap();
    assert!((last.metrics["rmse"].powi(2) - last.validation_loss.unwrap()).abs() < 1e-5, "the loss is the square of rmse");
    assert!(last.metrics["mae"] <= last.metrics["rmse"]);
}

#[test]
fn training_stops_when_validation_no_longer_improves_and_keeps_the_best() {
    let rows = validated(class_rows(false));
    let mut spec = head_spec();
    spec["epochs"] = json!(60);
    spec["optimizer"] = json!({"name": "adam", "lr": 0.3});
    spec["validation"] = json!({"metric": "loss", "patience": 3});
    let mut trainer = alone(&rows, &spec);
    let progress = finish(&mut trainer).unwrap();
    assert_eq!(progress.event, Event::StoppedEarly);
    let losses: Vec<f64> = progress.ended.iter().map(|row| row.validation_loss.unwrap()).collect();
    let best = (0..losses.len()).min_by(|a, b| losses[*a].total_cmp(&losses[*b])).unwrap();
    assert_eq!(losses.len(), best + 1 + 3);
    assert_eq!(trainer.run(std::time::Duration::from_secs(1)).unwrap().event, Event::StoppedEarly, "it stays stopped");
    // Training for as many epochs as the best took gives what was kept.
    spec["epochs"] = json!(best + 1);
    spec["validation"] = json!({"restore_best": false});
    let mut short = alone(&rows, &spec);
    finish(&mut short).unwrap();
    assert_eq!(difference(&parameters(&trainer), &parameters(&short)).to_bits(), 0);
}

#[test]
fn a_metric_that_does_not_exist_names_those_that_do() {
    let mut spec = head_spec();
    spec["validation"] = json!({"metric": "rmse"});
    let error = finish(&mut alone(&validated(class_rows(false)), &spec)).unwrap_err();
    assert!(error.to_string().contains("there are loss, accuracy, f1"), "{error}");
}

#[test]
fn an_average_of_the_parameters_is_validated_and_is_the_result() {
    let rows = validated(class_rows(false));
    let mut spec = head_spec();
    spec["ema_decay"] = json!(0.9);
    spec["validation"] = json!({"restore_best": false});
    let mut trainer = alone(&rows, &spec);
    let last = finish(&mut trainer).unwrap().ended.pop().unwrap();
    let found = parameters(&trainer);
    // The same without an average has other parameters, and other losses on the validation rows.
    spec["ema_decay"] = json!(null);
    let mut plain = alone(&rows, &spec);
    let other = finish(&mut plain).unwrap().ended.pop().unwrap();
    assert!(difference(&found, &parameters(&plain)) > 1e-3);
    assert!((last.validation_loss.unwrap() - other.validation_loss.unwrap()).abs() > 1e-4);
    assert_eq!(last.train_loss, other.train_loss, "steps are made from the parameters themselves");
    // The best epoch is the best one of the average.
    spec["ema_decay"] = json!(0.9);
    spec["validation"] = json!({"restore_best": true});
    let mut best = alone(&rows, &spec);
    let progress = finish(&mut best).unwrap();
    let losses: Vec<f64> = progress.ended.iter().map(|row| row.validation_loss.unwrap()).collect();
    assert!(losses.is_sorted_by(|a, b| a >= b), "{losses:?}: the last epoch is the best");
    assert_eq!(difference(&found, &parameters(&best)).to_bits(), 0);
}

#[test]
fn a_training_that_is_stopped_after_an_epoch_has_ended() {
    let rows = validated(class_rows(false));
    let mut spec = head_spec();
    spec["epochs"] = json!(50);
    let mut trainer = alone(&rows, &spec);
    let mut ended = 0;
    while ended < 2 {
        ended += usize::from(trainer.run(std::time::Duration::from_secs(600)).unwrap().epoch_ended);
    }
    trainer.stop().unwrap();
    let progress = finish(&mut trainer).unwrap();
    assert_eq!((progress.event, progress.ended.len(), progress.epoch_ended), (Event::StoppedEarly, 2, false));
    spec["epochs"] = json!(2);
    let mut short = alone(&rows, &spec);
    finish(&mut short).unwrap();
    assert_eq!(difference(&parameters(&trainer), &parameters(&short)).to_bits(), 0);
}

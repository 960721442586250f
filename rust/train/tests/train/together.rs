//! Heads that step together give the same results as each alone.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use flambeau_engine::EngineError;
use flambeau_train::{EpochRow, Event, ProcessGroup, Progress, TrainingDataset, TrainingLoop, trainings_together};
use serde_json::{Value, json};

use crate::support::{
    Parameters, Rows, alone, class_rows, difference, finish, folder, group, head_spec, parameters, parameters_of, reference, rows, spec,
};

const NEAR: f32 = 1e-4;

fn open(dataset: &Arc<TrainingDataset>, ranks: &Arc<ProcessGroup>, specs: &[Value]) -> Result<TrainingLoop, EngineError> {
    TrainingLoop::open(dataset, ranks, specs.iter().map(spec).collect(), Arc::new(AtomicBool::new(false)))
}

fn ended(progress: &[Progress]) -> bool {
    progress.iter().all(|one| matches!(one.event, Event::Done | Event::StoppedEarly))
}

/// The last reports, each with all epochs.
fn finish_all(trainings: &mut TrainingLoop) -> Vec<Progress> {
    let mut histories: Vec<Vec<EpochRow>> = Vec::new();
    loop {
        let mut progress = trainings.run(Duration::from_secs(600)).unwrap();
        histories.resize(progress.len(), Vec::new());
        for (one, history) in progress.iter_mut().zip(&mut histories) {
            history.append(&mut one.ended);
        }
        if ended(&progress) {
            progress.iter_mut().zip(histories).for_each(|(one, history)| one.ended = history);
            return progress;
        }
    }
}

fn parameters_of_all(trainings: &TrainingLoop, count: usize) -> Vec<Parameters> {
    (0..count).map(|place| parameters_of(trainings, place)).collect()
}

/// The same head, optimized in very different ways.
fn variants(base: &Value) -> Vec<Value> {
    let changes = [
        json!({}),
        json!({"optimizer": {"name": "adam", "lr": 0.05, "weight_decay": 0.01}, "epochs": 5}),
        json!({"optimizer": {"name": "adamw", "lr": 0.002, "weight_decay": 0.1}, "schedule": {"name": "one_cycle"}}),
        json!({"optimizer": {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": true}, "clip_norm": 0.2}),
        json!({"optimizer": {"name": "rmsprop", "lr": 0.003}, "epochs": 1}),
        json!({"ema_decay": 0.7}),
    ];
    let with = |change: &Value| {
        let mut one = base.clone();
        one.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        one
    };
    changes.iter().map(with).collect()
}

fn compare(together: &Progress, single: &Progress, near: f32) {
    assert_eq!((together.event, together.step, together.ended.len()), (single.event, single.step, single.ended.len()));
    for (a, b) in together.ended.iter().zip(&single.ended) {
        assert!((a.train_loss.unwrap() - b.train_loss.unwrap()).abs() < f64::from(near), "{a:?} {b:?}");
        assert_eq!((a.epoch, a.lr, a.samples, a.validation_loss.is_some()), (b.epoch, b.lr, b.samples, b.validation_loss.is_some()));
    }
}

/// Adam depends on the sign of a gradient that is nearly 0, as is common for a mean absolute error.
fn near(spec: &Value) -> f32 {
    if spec["loss"] == json!("mae") { 1e-3 } else { NEAR }
}

fn check(rows: &Rows, specs: &[Value]) {
    let all: Vec<usize> = (0..rows.x.len()).rev().collect();
    let mut trainings = open(&rows.dataset(&all, &rows.dense()), &Arc::new(ProcessGroup::alone()), specs).unwrap();
    let progress = finish_all(&mut trainings);
    for ((one, together), found) in specs.iter().zip(&progress).zip(parameters_of_all(&trainings, specs.len())) {
        let mut single = alone(rows, one);
        compare(together, &finish(&mut single).unwrap(), near(one));
        let apart = difference(&parameters(&single), &found);
        assert!(apart < near(one), "{apart} with {one}");
    }
}

#[test]
fn heads_learn_what_they_learn_alone() {
    let mut spec = head_spec();
    spec["program"]["head"]["hidden"] = json!([8, 5]);
    check(&class_rows(true), &variants(&spec));
    spec["program"]["head"]["hidden"] = json!([]);
    spec["class_weights"] = json!([1.0, 0.5, 3.0]);
    spec["label_smoothing"] = json!(0.1);
    check(&class_rows(false), &variants(&spec));
}

#[test]
fn so_do_heads_of_numbers_and_of_several_labels() {
    let (all, _) = reference();
    for case in all["cases"].as_array().unwrap() {
        let head = &case["spec"]["program"]["head"];
        if head.is_null() || case["spec"]["loss"] == json!("cross_entropy") {
            continue;
        }
        let wide = case["labels"][0].is_array();
        if wide {
            continue;
        }
        let mut spec = case["spec"].clone();
        spec["micro_batch_rows"] = Value::Null;
        check(&rows(&case["labels"], true), &variants(&spec));
    }
    let first: Vec<f64> = class_rows(false).x.iter().map(|row| f64::from(row[0] > 0.0)).collect();
    let mut spec = head_spec();
    spec["program"]["head"]["outputs"] = json!(1);
    for loss in ["bce", "mse", "mae", "huber"] {
        spec["loss"] = json!(loss);
        check(&Rows { labels: first.clone(), ..class_rows(true) }, &variants(&spec));
    }
}

#[test]
fn each_stops_by_its_own_validation() {
    let rows = class_rows(true);
    let rows = Rows { validation: Some((0..rows.x.len()).map(|i| i % 5 == 0).collect()), ..rows };
    let mut spec = head_spec();
    spec["epochs"] = json!(12);
    spec["validation"] = json!({"metric": "loss", "patience": 1, "min_delta": 0.02, "restore_best": true});
    let mut specs = variants(&spec);
    specs[1]["epochs"] = json!(12);
    specs[2]["validation"] = json!({"metric": "accuracy"});
    check(&rows, &specs);
}

#[test]
fn two_workers_add_up_all_heads_in_one_sum() {
    let (rows, specs) = (class_rows(true), variants(&head_spec()));
    let found = group(2, 60_000, |ranks| {
        let dataset = rows.dataset(&rows.of_rank(ranks.rank, 2), &rows.dense());
        let mut trainings = open(&dataset, &ranks, &specs).unwrap();
        finish_all(&mut trainings);
        parameters_of_all(&trainings, specs.len())
    });
    for (place, one) in specs.iter().enumerate() {
        let mut single = alone(&rows, one);
        finish(&mut single).unwrap();
        let apart = difference(&parameters(&single), &found[0][place]);
        assert!(apart < NEAR, "{apart} with {one}");
        assert_eq!(difference(&found[0][place], &found[1][place]).to_bits(), 0, "both workers have the same");
    }
}

#[test]
fn heads_that_were_interrupted_at_different_steps_meet_again() {
    let (rows, mut specs) = (class_rows(false), variants(&head_spec()));
    specs.iter_mut().for_each(|one| one["epochs"] = json!(4));
    let all: Vec<usize> = (0..rows.x.len()).rev().collect();
    let dataset = rows.dataset(&all, &rows.dense());
    let ranks = Arc::new(ProcessGroup::alone());
    let mut undisturbed = open(&dataset, &ranks, &specs).unwrap();
    finish_all(&mut undisturbed);
    let mut until = specs.clone();
    until[0]["checkpoint_steps"] = json!(9);
    until[3]["checkpoint_epochs"] = json!(2);
    let (file, later) = (folder("checkpoint").join("0.pt"), folder("checkpoint").join("3.pt"));
    let mut first = open(&dataset, &ranks, &until).unwrap();
    let mut saved = Vec::new();
    while saved.len() < 2 {
        let progress = first.run(Duration::from_secs(600)).unwrap();
        for (place, file) in [(0, &file), (3, &later)] {
            if progress[place].event == Event::Checkpoint && !saved.contains(&place) {
                first.save_checkpoint(place, file).unwrap();
                saved.push(place);
            }
        }
    }
    drop(first);
    let mut second = open(&dataset, &ranks, &specs).unwrap();
    second.restore_checkpoint(0, &file).unwrap();
    second.restore_checkpoint(3, &later).unwrap();
    finish_all(&mut second);
    let (a, b) = (parameters_of_all(&undisturbed, 5), parameters_of_all(&second, 5));
    for (a, b) in a.iter().zip(&b) {
        assert!(difference(a, b) < NEAR);
    }
}

#[test]
fn who_steps_together() {
    let places = |specs: &[Value]| trainings_together(&specs.iter().map(spec).collect::<Vec<_>>());
    let with = |key: &str, value: Value| {
        let mut one = head_spec();
        one[key] = value;
        one
    };
    let (faster, other_rows) = (with("optimizer", json!({"name": "sgd", "lr": 0.1})), with("seed", json!(12)));
    let in_parts = with("micro_batch_rows", json!(8));
    assert_eq!(
        places(&[head_spec(), other_rows.clone(), faster, in_parts.clone(), in_parts, other_rows, with("epochs", json!(9))]),
        [vec![0, 2, 6], vec![1, 5], vec![3], vec![4]]
    );
    // Two million parameters each: four million step together.
    let large = with("program", json!({"head": {"inputs": 1000, "outputs": 1000, "hidden": [1000]}}));
    assert_eq!(places(&vec![large; 5]), [vec![0, 1], vec![2, 3], vec![4]]);
    let huge = with("program", json!({"head": {"inputs": 1000, "outputs": 5000, "hidden": [1000]}}));
    assert_eq!(places(&vec![huge; 2]), [vec![0], vec![1]]);
    assert_eq!(places(&[]), Vec::<Vec<usize>>::new());
}

#[test]
fn others_are_refused_and_a_loss_that_is_no_number_ends_all() {
    let rows = class_rows(false);
    let all: Vec<usize> = (0..rows.x.len()).collect();
    let (dataset, ranks) = (rows.dataset(&all, &rows.dense()), Arc::new(ProcessGroup::alone()));
    for (key, value) in [("seed", json!(12)), ("batch_rows", json!(16)), ("precision", json!("bf16")), ("label_smoothing", json!(0.1))] {
        let mut other = head_spec();
        other[key] = value;
        let error = open(&dataset, &ranks, &[head_spec(), other]).err().unwrap().to_string();
        assert!(error.contains("may differ only in how they are optimized"), "{key}: {error}");
    }
    let mut wild = head_spec();
    wild["optimizer"] = json!({"name": "sgd", "lr": 1e30});
    let mut trainings = open(&dataset, &ranks, &[head_spec(), wild]).unwrap();
    let error = loop {
        match trainings.run(Duration::from_secs(600)) {
            Ok(progress) => assert!(!ended(&progress)),
            Err(error) => break error.to_string(),
        }
    };
    assert!(error.contains("learning rate 1000000000000000"), "{error}");
    assert!(open(&dataset, &ranks, &[]).is_err());
}

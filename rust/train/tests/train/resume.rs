//! An interrupted training gives exactly the same result as an undisturbed one.

use std::time::Duration;

use flambeau_train::Event;
use serde_json::{Value, json};

use crate::support::{Rows, alone, class_rows, difference, finish, folder, head_spec, parameters, train_with};

fn with_validation(spec: &mut Value) -> Rows {
    spec["validation"] = json!({"metric": "accuracy", "restore_best": true});
    let rows = class_rows(true);
    Rows { validation: Some((0..rows.x.len()).map(|i| i % 5 == 0).collect()), ..rows }
}

#[test]
fn a_resume_at_an_epochs_end_and_within_one_is_exact() {
    let optimizers = [
        json!({"name": "adam", "lr": 0.01}),
        json!({"name": "adamw", "lr": 0.01}),
        json!({"name": "sgd", "lr": 0.1, "momentum": 0.9}),
        json!({"name": "rmsprop", "lr": 0.003, "momentum": 0.5}),
    ];
    for optimizer in optimizers {
        let mut spec = head_spec();
        spec["optimizer"] = optimizer.clone();
        // A plateau is computed from the history, which the checkpoint holds.
        let falls = json!({"name": "plateau", "step_epochs": 1, "gamma": 0.5});
        spec["schedule"] = if optimizer["name"] == "sgd" { falls } else { json!({"name": "one_cycle"}) };
        if optimizer["name"] == "adamw" {
            spec["ema_decay"] = json!(0.8);
        }
        let rows = with_validation(&mut spec);
        let mut undisturbed = alone(&rows, &spec);
        let expected = finish(&mut undisturbed).unwrap();
        for steps in [5_u64, 6, 12] {
            let mut until = spec.clone();
            until["checkpoint_steps"] = json!(steps);
            let mut first = alone(&rows, &until);
            while first.run(Duration::from_secs(600)).unwrap().event != Event::Checkpoint {}
            let file = folder("checkpoint").join("c.pt");
            first.save_checkpoint(&file).unwrap();
            drop(first);
            let mut second = alone(&rows, &spec);
            second.restore_checkpoint(&file).unwrap();
            let found = finish(&mut second).unwrap();
            assert_eq!(difference(&parameters(&undisturbed), &parameters(&second)).to_bits(), 0, "after {steps} steps");
            assert_eq!(expected.ended.len(), found.ended.len());
            for (a, b) in expected.ended.iter().zip(&found.ended) {
                assert_eq!((a.epoch, a.train_loss, a.validation_loss, &a.metrics), (b.epoch, b.train_loss, b.validation_loss, &b.metrics));
            }
        }
    }
}

#[test]
fn a_checkpoint_of_rank_0_continues_all_workers() {
    let rows = class_rows(false);
    let spec = head_spec();
    let expected = train_with(2, &rows, &spec);
    let file = folder("checkpoint").join("c.pt");
    let mut until = spec.clone();
    until["checkpoint_epochs"] = json!(2);
    crate::support::group(2, 60_000, |ranks| {
        let dataset = rows.dataset(&rows.of_rank(ranks.rank, 2), &rows.dense());
        let mut trainer = crate::support::open(&dataset, &ranks, &until).unwrap();
        while trainer.run(Duration::from_secs(600)).unwrap().event != Event::Checkpoint {}
        if ranks.rank == 0 {
            trainer.save_checkpoint(&file).unwrap();
        }
    });
    let found = crate::support::group(2, 60_000, |ranks| {
        let dataset = rows.dataset(&rows.of_rank(ranks.rank, 2), &rows.dense());
        let mut trainer = crate::support::open(&dataset, &ranks, &spec).unwrap();
        trainer.restore_checkpoint(&file).unwrap();
        assert_eq!(finish(&mut trainer).unwrap().step, 21);
        parameters(&trainer)
    });
    for found in &found {
        assert_eq!(difference(&expected[0].0, found).to_bits(), 0);
    }
}

#[test]
fn checkpoints_of_other_trainings_and_damaged_ones_are_refused() {
    let rows = class_rows(false);
    let mut trainer = alone(&rows, &head_spec());
    trainer.run(Duration::ZERO).unwrap();
    let file = folder("checkpoint").join("c.pt");
    trainer.save_checkpoint(&file).unwrap();
    for (key, value) in [("batch_rows", json!(16)), ("seed", json!(12)), ("optimizer", json!({"name": "sgd", "lr": 0.1}))] {
        let mut spec = head_spec();
        spec[key] = value;
        let error = alone(&rows, &spec).restore_checkpoint(&file).unwrap_err();
        assert_eq!(error.kind(), "bad_request");
        assert!(error.to_string().contains("of another training"), "{error}");
    }
    // With any bit changed, or cut anywhere, the file is rejected.
    let bytes = std::fs::read(&file).unwrap();
    let flips = (0..bytes.len()).step_by(bytes.len() / 97).chain(0..64).map(|at| {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1 << (at % 8);
        damaged
    });
    let cuts = [0, 1, 30, 60, bytes.len() / 2, bytes.len() - 1].map(|length| bytes[..length].to_vec());
    let longer = [bytes.iter().copied().chain([0]).collect()];
    for damaged in flips.chain(cuts).chain(longer) {
        std::fs::write(&file, damaged).unwrap();
        let error = trainer.restore_checkpoint(&file).unwrap_err();
        assert_eq!(error.kind(), "bad_checkpoint", "{error}");
        assert!(error.to_string().contains("cannot be used"), "{error}");
    }
    // A checkpoint that cannot be read changes nothing; once repaired, it is loaded.
    std::fs::write(&file, &bytes).unwrap();
    trainer.restore_checkpoint(&file).unwrap();
    assert!(finish(&mut trainer).is_ok());
}

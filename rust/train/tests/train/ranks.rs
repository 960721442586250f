//! The same model whatever the number of workers.

use serde_json::json;

use crate::equality::nested_dataset;
use crate::support::{
    Rows, SHARDS, Spread, alone, class_rows, difference, finish, floats, group, head_spec, numbers, open, parameters, reference, shard,
    train_spread, train_with,
};

/// After 3 epochs in f32: the sums of gradients are added in another order.
const TOLERANCE: f32 = 1e-5;

#[test]
fn one_two_three_and_four_workers_give_the_same_parameters() {
    let rows = class_rows(true);
    let mut trainer = alone(&rows, &head_spec());
    let of_one = finish(&mut trainer).unwrap();
    let one = parameters(&trainer);
    for (world, spread) in [(2, Spread::Together), (2, Spread::Apart), (3, Spread::Together), (4, Spread::Apart), (5, Spread::Pairs)] {
        let all = train_spread(world, spread, &rows, &head_spec());
        for (found, progress) in &all {
            let apart = difference(&one, found);
            assert!(apart <= TOLERANCE, "{world} workers: {apart} apart");
            assert_eq!(difference(&all[0].0, found).to_bits(), 0, "ranks must not drift apart");
            for (row, expected) in progress.ended.iter().zip(&of_one.ended) {
                assert_eq!(row.samples, 203);
                assert!((row.train_loss.unwrap() - expected.train_loss.unwrap()).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn workers_without_rows_and_with_uneven_rows_neither_hang_nor_skew() {
    let all = class_rows(false);
    // Rows of one shard alone go to one worker; two shards of different size to two.
    for shards in [vec![4], vec![4, 5]] {
        let mut chosen: Vec<usize> = (0..all.x.len()).filter(|i| shards.contains(&shard(*i))).collect();
        chosen.retain(|i| shard(*i) == 4 || i % 3 == 0);
        let take = |values: &Vec<f64>| chosen.iter().map(|i| values[*i]).collect::<Vec<f64>>();
        assert!(chosen.len() > 5 && chosen.len() < 30, "{}", chosen.len());
        let x = chosen.iter().map(|i| all.x[*i].clone()).collect();
        let rows = Rows { x, labels: take(&all.labels), ..Rows::default() };
        let mut spec = head_spec();
        spec["batch_rows"] = json!(4);
        // Shards depend on ids here too, so renumbered rows move to other shards: leave whole workers empty instead.
        let few = Rows { x: rows.x[..3].to_vec(), labels: rows.labels[..3].to_vec(), ..Rows::default() };
        let mut trainer = alone(&few, &spec);
        finish(&mut trainer).unwrap();
        let one = parameters(&trainer);
        assert!((0..3).map(shard).all(|s| s < SHARDS));
        for (found, _) in train_with(4, &few, &spec) {
            assert!(difference(&one, &found) <= TOLERANCE);
        }
    }
}

#[test]
fn no_rows_at_all_end_at_once() {
    let rows = Rows::default();
    for (_, progress) in train_with(2, &Rows { x: vec![], ..rows }, &head_spec_of_one()) {
        assert_eq!((progress.epoch, progress.steps_per_epoch), (3, 0));
        assert!(progress.ended.iter().all(|row| row.train_loss.is_none()));
    }
}

fn head_spec_of_one() -> serde_json::Value {
    let mut spec = head_spec();
    spec["program"]["head"]["inputs"] = json!(1);
    spec
}

#[test]
fn running_statistics_are_the_same_on_all_workers_after_an_epoch() {
    let (all, directory) = reference();
    let net = &all["net"];
    let x = net["x"].as_array().unwrap().iter().map(floats).collect();
    let rows = Rows { x, labels: numbers(&net["labels"]), ..Rows::default() };
    let mut spec = net["spec"].clone();
    spec["program"] = json!({"package": directory.join("norm_net")});
    let found = group(2, 60_000, |ranks| {
        let dataset = nested_dataset(&rows, &rows.of_rank(ranks.rank, 2));
        let mut trainer = open(&dataset, &ranks, &spec).unwrap();
        finish(&mut trainer).unwrap();
        let directory = crate::support::folder("package");
        let publish = serde_json::from_value(json!({"name": "n", "license": "MIT", "description": ""})).unwrap();
        trainer.save_package(&directory, &publish).unwrap();
        let input = tch::Tensor::ones([2, 3, 8, 8], (tch::Kind::Float, tch::Device::Cpu));
        let output = tch::CModule::load(directory.join("model.pt")).unwrap().forward_ts(&[input]).unwrap();
        Vec::<f32>::try_from(output.view([-1])).unwrap()
    });
    assert_eq!(found[0], found[1]);
}

#[test]
fn several_trainers_share_a_feed_and_a_group_one_after_another() {
    let rows = class_rows(false);
    let specs = [0.01, 0.001].map(|lr| {
        let mut spec = head_spec();
        spec["optimizer"]["lr"] = json!(lr);
        spec
    });
    let expected: Vec<_> = specs.iter().map(|spec| train_with(2, &rows, spec).remove(0).0).collect();
    let found = group(2, 60_000, |ranks| {
        let dataset = rows.dataset(&rows.of_rank(ranks.rank, 2), &rows.dense());
        let run = |spec| {
            let mut trainer = open(&dataset, &ranks, spec).unwrap();
            finish(&mut trainer).unwrap();
            parameters(&trainer)
        };
        specs.iter().map(run).collect::<Vec<_>>()
    });
    for (one, other) in expected.iter().zip(&found[0]) {
        assert_eq!(difference(one, other).to_bits(), 0);
    }
}

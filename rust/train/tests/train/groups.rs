//! One head for every group: the same as if each were trained alone.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Float64Type, Int64Type};
use arrow_array::{Array, Int64Array, StructArray};
use flambeau_train::{TrainingDataset, train_groups};
use serde_json::{Value, json};

use crate::support::{Rows, alone, class_rows, finish, folder, parameters, reference, rows, struct_of};
use crate::whole;

fn group_of(row: usize) -> i64 {
    // Groups of very different sizes: 1, 2, 4, … rows.
    (row as f64 + 1.0).log2().floor() as i64 * 10
}

fn dataset(rows: &Rows) -> TrainingDataset {
    let all: Vec<usize> = (0..rows.x.len()).rev().collect();
    let plain = rows.batch(&all);
    let groups = Arc::new(Int64Array::from_iter_values(all.iter().map(|row| group_of(*row))));
    let mut columns: Vec<_> = plain.column_names().into_iter().zip(plain.columns().iter().cloned()).collect();
    columns.push(("__group", groups));
    let batch = struct_of(columns);
    let spec = whole::dataset(&json!({"directory": folder("dataset"), "shards": 16, "dense": rows.dense()}));
    let dataset = TrainingDataset::create(spec, batch.fields().clone()).unwrap();
    dataset.add(&batch).unwrap();
    dataset.finish().unwrap();
    dataset
}

fn spec(batch_rows: Option<usize>) -> Value {
    json!({
        "head": {"inputs": 6, "outputs": 1, "hidden": [4], "activation": "tanh"}, "input": "x", "loss": "mse",
        "optimizer": {"name": "adam", "lr": 0.01}, "batch_rows": batch_rows, "epochs": 5, "seed": 7,
    })
}

fn train(rows: &Rows, value: &Value) -> StructArray {
    let spec = whole::groups(value);
    train_groups(&dataset(rows), &spec, &AtomicBool::new(false)).unwrap()
}

fn regression() -> Rows {
    let (all, _) = reference();
    let case = all["cases"].as_array().unwrap().iter().find(|case| case["name"] == "mse").unwrap();
    rows(&case["labels"], true)
}

#[test]
fn a_groups_head_is_what_it_would_be_alone() {
    each_is_as_if_alone(&regression(), &spec(None));
}

#[test]
fn a_groups_classes_may_weigh_differently() {
    let mut spec = spec(None);
    spec["head"]["outputs"] = json!(3);
    spec["loss"] = json!("cross_entropy");
    each_is_as_if_alone(&class_rows(true), &spec);
    spec["class_weights"] = json!([1.0, 0.25, 3.0]);
    spec["label_smoothing"] = json!(0.1);
    each_is_as_if_alone(&class_rows(false), &spec);
}

fn each_is_as_if_alone(rows: &Rows, spec: &Value) {
    let found = train(rows, spec);
    assert_eq!(found.column(0).as_primitive::<Int64Type>().values().to_vec(), [0, 10, 20, 30, 40, 50, 60, 70]);
    for i in 0..found.len() {
        let group = found.column(0).as_primitive::<Int64Type>().value(i);
        let own: Vec<usize> = (0..rows.x.len()).filter(|row| group_of(*row) == group).collect();
        assert_eq!(found.column(1).as_primitive::<Int64Type>().value(i), own.len() as i64);
        let take = |values: &Vec<f64>| own.iter().map(|row| values[*row]).collect::<Vec<f64>>();
        let weights = rows.weights.as_ref().map_or(vec![1.0; own.len()], take);
        if weights.iter().sum::<f64>() <= 0.0 {
            assert!(found.column(2).as_primitive::<Float64Type>().value(i).is_nan());
            let values = found.column(3).as_list::<i32>().value(i);
            assert!(values.as_primitive::<Float32Type>().values().iter().all(|value| value.is_nan()), "group {group} has learnt nothing");
            continue;
        }
        let only = Rows {
            x: own.iter().map(|row| rows.x[*row].clone()).collect(),
            labels: take(&rows.labels),
            weights: Some(weights),
            validation: None,
        };
        let mut of_one = spec.clone();
        of_one["program"] = json!({"head": of_one["head"]});
        of_one["inputs"] = json!(["x"]);
        of_one["batch_rows"] = json!(own.len());
        for key in ["head", "input"] {
            of_one.as_object_mut().unwrap().remove(key);
        }
        let mut trainer = alone(&only, &of_one);
        let loss = finish(&mut trainer).unwrap().ended.last().unwrap().train_loss.unwrap();
        assert!((found.column(2).as_primitive::<Float64Type>().value(i) - loss).abs() < 1e-5);
        let expected = parameters(&trainer);
        let expected: Vec<f32> = ["weight_0", "bias_0", "weight_1", "bias_1"].iter().flat_map(|name| expected[*name].clone()).collect();
        let values = found.column(3).as_list::<i32>().value(i);
        let values = values.as_primitive::<Float32Type>().values();
        assert_eq!(values.len(), expected.len());
        assert!(values.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-5), "group {group}");
    }
}

#[test]
fn groups_learn_in_batches_too_and_do_not_depend_on_one_another() {
    let mut rows = regression();
    rows.weights = None;
    let before = train(&rows, &spec(Some(8)));
    // The last group's rows are bad: the others do not change.
    let (large, other): (Vec<usize>, Vec<usize>) = (0..rows.x.len()).partition(|row| group_of(*row) == 70);
    for row in large {
        rows.labels[row] = f64::from(f32::MAX);
    }
    let after = train(&rows, &spec(Some(8)));
    let values = |result: &StructArray, i| result.column(3).as_list::<i32>().value(i).as_primitive::<Float32Type>().values().to_vec();
    for i in 0..7 {
        assert_eq!(values(&before, i), values(&after, i));
    }
    assert!(values(&after, 7).iter().any(|v| v.is_nan()) && after.column(2).as_primitive::<Float64Type>().value(7).is_nan());
    assert!(!other.is_empty());
    let losses = before.column(2).as_primitive::<Float64Type>().values().to_vec();
    let mut longer = spec(Some(8));
    longer["epochs"] = json!(60);
    rows = regression();
    rows.weights = None;
    let later = train(&rows, &longer);
    assert!(losses.iter().zip(later.column(2).as_primitive::<Float64Type>().values()).all(|(a, b)| b < a), "they learn");
}

#[test]
fn groups_stop_when_they_are_canceled() {
    let spec = whole::groups(&spec(None));
    let dataset = dataset(&regression());
    dataset.canceled().store(true, Ordering::Relaxed);
    assert_eq!(train_groups(&dataset, &spec, dataset.canceled()).unwrap_err().kind(), "canceled");
}

#[test]
fn groups_have_no_common_plateau() {
    let mut given = spec(None);
    given["schedule"] = json!({"name": "plateau"});
    let dataset = dataset(&regression());
    let refused = train_groups(&dataset, &whole::groups(&given), dataset.canceled()).unwrap_err().to_string();
    assert!(refused.contains("use \"step\""), "{refused}");
}

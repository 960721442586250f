//! The same numbers as in the loop that a user would write in Python torch.

use flambeau_train::Progress;
use serde_json::{Value, json};

use crate::support::{Parameters, Rows, Trainer, alone, difference, finish, floats, numbers, parameters, reference, rows};

/// Over 3 epochs of 7 steps, in f32: sums are added in another order here.
const TOLERANCE: f32 = 2e-5;

#[test]
fn heads_equal_python_for_every_optimiser_schedule_loss_and_weighting() {
    let (all, _) = reference();
    let mut worst = 0.0_f32;
    for case in all["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let mut trainer = alone(&rows(&case["labels"], case["weighted"].as_bool().unwrap()), &case["spec"]);
        let progress = finish(&mut trainer).unwrap();
        let found = parameters(&trainer);
        let layers = found.len() / 2;
        let keys = (0..layers).flat_map(|i| [format!("weight_{i}"), format!("bias_{i}")]);
        let expected: Parameters = keys.zip(case["parameters"].as_array().unwrap().iter().map(floats)).collect();
        let apart = difference(&found, &expected);
        assert!(apart <= TOLERANCE, "{name}: parameters are {apart} apart");
        worst = worst.max(apart);
        for (row, expected) in progress.ended.iter().zip(numbers(&case["losses"])) {
            let loss = row.train_loss.unwrap();
            assert!((loss - expected).abs() <= 1e-5 * expected.abs().max(1.0), "{name}, epoch {}: {loss}, expected {expected}", row.epoch);
        }
    }
    println!("largest difference to Python torch: {worst}");
}

#[test]
fn heads_begin_as_torch_nn_linear_does() {
    let (all, _) = reference();
    for case in all["cases"].as_array().unwrap() {
        let mut spec = case["spec"].clone();
        spec["epochs"] = json!(0);
        let trainer = alone(&rows(&case["labels"], false), &spec);
        let first: Vec<Vec<f32>> = case["first"].as_array().unwrap().iter().map(floats).collect();
        let found = parameters(&trainer);
        for (i, pair) in first.chunks(2).enumerate() {
            assert_eq!(found[&format!("weight_{i}")], pair[0], "{}", case["name"]);
            assert_eq!(found[&format!("bias_{i}")], pair[1], "{}", case["name"]);
        }
    }
}

fn net_rows() -> Rows {
    let net = &reference().0["net"];
    let x = net["x"].as_array().unwrap().iter().map(floats).collect();
    Rows { x, labels: numbers(&net["labels"]), ..Rows::default() }
}

#[test]
fn networks_with_frozen_layers_batch_normalization_and_groups_of_parameters_equal_python() {
    let (all, directory) = reference();
    for name in ["net", "norm_net", "grouped_net"] {
        let net = &all[name];
        let mut spec = net["spec"].clone();
        spec["program"]["package"] = json!(directory.join(name));
        let rows = net_rows();
        let everything: Vec<usize> = (0..rows.x.len()).collect();
        let ranks = std::sync::Arc::new(flambeau_train::ProcessGroup::alone());
        let mut trainer = crate::support::open(&nested_dataset(&rows, &everything), &ranks, &spec).unwrap();
        let progress = finish(&mut trainer).unwrap();
        equals_python(name, &trainer, &progress, net);
    }
}

/// Parameters and losses are those of a loop over a network in Python torch.
fn equals_python(name: &str, trainer: &Trainer, progress: &Progress, case: &Value) {
    let expected: Parameters =
        case["parameters"].as_object().unwrap().iter().map(|(name, values)| (name.clone(), floats(values))).collect();
    let apart = difference(&parameters(trainer), &expected);
    println!("{name}: largest difference to Python torch: {apart}");
    assert!(apart <= TOLERANCE, "{name}: parameters are {apart} apart");
    for (row, expected) in progress.ended.iter().zip(numbers(&case["losses"])) {
        assert!((row.train_loss.unwrap() - expected).abs() < 1e-5, "{name}: {row:?}, expected {expected}");
    }
}

/// Pictures as nested lists [3][8][8].
pub fn nested_dataset(rows: &Rows, own: &[usize]) -> std::sync::Arc<flambeau_train::TrainingDataset> {
    dataset_of_pairs(rows, None, own)
}

/// The same, with a partner for each.
fn dataset_of_pairs(rows: &Rows, pairs: Option<&[Vec<f32>]>, own: &[usize]) -> std::sync::Arc<flambeau_train::TrainingDataset> {
    use arrow_array::{Array, ArrayRef, Float32Array, ListArray};
    use arrow_buffer::OffsetBuffer;
    use flambeau_train::TrainingDataset;
    use std::sync::Arc;
    let nest = |values: ArrayRef, size: usize| -> ArrayRef {
        let field = Arc::new(arrow_schema::Field::new("element", values.data_type().clone(), false));
        let offsets = OffsetBuffer::from_lengths(std::iter::repeat_n(size, values.len() / size));
        Arc::new(ListArray::new(field, offsets, values, None))
    };
    let batch = |own: &[usize]| {
        let pictures = |of: &[Vec<f32>]| {
            let flat: Vec<f32> = own.iter().flat_map(|i| of[*i].clone()).collect();
            nest(nest(nest(Arc::new(Float32Array::from(flat)), 8), 8), 3)
        };
        let plain = rows.batch(own);
        let mut columns: Vec<(&str, ArrayRef)> = vec![("x", pictures(&rows.x))];
        if let Some(pairs) = pairs {
            columns.push(("pair", pictures(pairs)));
        }
        columns.extend(plain.column_names().into_iter().zip(plain.columns().iter().cloned()).filter(|(name, _)| *name != "x"));
        crate::support::struct_of(columns)
    };
    let mut dense = json!({"x": {"shape": [3, 8, 8]}});
    if pairs.is_some() {
        dense["pair"] = dense["x"].clone();
    }
    let spec = json!({"directory": crate::support::folder("dataset"), "shards": crate::support::SHARDS, "dense": dense});
    let spec = crate::whole::dataset(&spec);
    let dataset = TrainingDataset::create(spec, batch(&own[..1]).fields().clone()).unwrap();
    for chunk in own.chunks(17) {
        dataset.add(&batch(chunk)).unwrap();
    }
    dataset.finish().unwrap();
    Arc::new(dataset)
}

#[test]
fn micro_batches_give_the_same_parameters() {
    let (all, _) = reference();
    let case = &all["cases"][0];
    let whole = trained(&case["spec"], case);
    let mut spec = case["spec"].clone();
    spec["micro_batch_rows"] = json!(5);
    assert!(difference(&whole, &trained(&spec, case)) <= TOLERANCE);
}

fn trained(spec: &Value, case: &Value) -> Parameters {
    let mut trainer = alone(&rows(&case["labels"], false), spec);
    finish(&mut trainer).unwrap();
    parameters(&trainer)
}

/// Products are rounded to 8 bits. Here gradients of the sum of losses are divided afterwards, there they are of the mean. So
/// batches whose weight is not a power of two round differently: 0.0024 was seen after 21 steps.
const BF16_TOLERANCE: f32 = 5e-3;

#[test]
fn bf16_equals_python_under_autocast() {
    let (all, _) = reference();
    for case in all["bf16_cases"].as_array().unwrap() {
        let mut trainer = alone(&rows(&case["labels"], false), &case["spec"]);
        let progress = finish(&mut trainer).unwrap();
        let layers = parameters(&trainer).len() / 2;
        let keys = (0..layers).flat_map(|i| [format!("weight_{i}"), format!("bias_{i}")]);
        let expected: Parameters = keys.zip(case["parameters"].as_array().unwrap().iter().map(floats)).collect();
        let apart = difference(&parameters(&trainer), &expected);
        println!("{}: largest difference to Python torch: {apart}", case["name"]);
        assert!(apart <= BF16_TOLERANCE, "{}: parameters are {apart} apart", case["name"]);
        for (row, expected) in progress.ended.iter().zip(numbers(&case["losses"])) {
            assert!((row.train_loss.unwrap() - expected).abs() <= 1e-3 * expected, "{}: {row:?}, expected {expected}", case["name"]);
        }
    }
}

#[test]
fn bf16_learns_nearly_the_same() {
    let (all, _) = reference();
    let case = &all["cases"][0];
    let mut spec = case["spec"].clone();
    spec["precision"] = json!("bf16");
    let mut trainer = alone(&rows(&case["labels"], false), &spec);
    let progress = finish(&mut trainer).unwrap();
    let expected = numbers(&case["losses"]);
    for (row, expected) in progress.ended.iter().zip(expected) {
        assert!((row.train_loss.unwrap() - expected).abs() < 0.02 * expected, "{row:?}, expected {expected}");
    }
    assert!(difference(&parameters(&trainer), &trained(&case["spec"], case)) > 0.0, "bf16 must not be f32");
}

#[test]
fn a_loss_of_the_programs_own_equals_the_loss_by_name() {
    let (all, directory) = reference();
    let rows = net_rows();
    let everything: Vec<usize> = (0..rows.x.len()).collect();
    let run = |method: Option<&str>| {
        let mut spec = all["net"]["spec"].clone();
        spec["program"] = json!({"package": directory.join("net"), "loss_method": method});
        let ranks = std::sync::Arc::new(flambeau_train::ProcessGroup::alone());
        let mut trainer = crate::support::open(&nested_dataset(&rows, &everything), &ranks, &spec).unwrap();
        finish(&mut trainer).unwrap();
        parameters(&trainer)
    };
    assert!(difference(&run(None), &run(Some("rows_loss"))) <= TOLERANCE);
}

#[test]
fn metrics_of_the_programs_own_are_means_over_the_validation_rows() {
    let (all, directory) = reference();
    let validation = Some((0..60).map(|i| i % 3 == 0).collect());
    let weights = Some((0..60).map(|i| f64::from(i % 4)).collect());
    let rows = Rows { validation, weights, ..net_rows() };
    let everything: Vec<usize> = (0..rows.x.len()).collect();
    let mut spec = all["net"]["spec"].clone();
    spec["program"] = json!({"package": directory.join("net"), "metric_methods": ["rows_loss"]});
    let ranks = std::sync::Arc::new(flambeau_train::ProcessGroup::alone());
    let mut trainer = crate::support::open(&nested_dataset(&rows, &everything), &ranks, &spec).unwrap();
    for row in finish(&mut trainer).unwrap().ended {
        assert_eq!(row.metrics.keys().collect::<Vec<_>>(), ["accuracy", "auc", "f1", "rows_loss"]);
        assert!((row.metrics["rows_loss"] - row.validation_loss.unwrap()).abs() < 1e-6, "it is the loss, as a method");
    }
    spec["program"]["metric_methods"] = json!(["top2"]);
    let error = crate::support::open(&nested_dataset(&rows, &everything), &ranks, &spec).err().unwrap().to_string();
    assert!(error.contains("metricMethods names top2") && error.contains("only rows_loss"), "{error}");
}

#[test]
fn pairs_equal_python() {
    let (all, directory) = reference();
    let case = &all["pair_net"];
    let pictures = |name: &str| case[name].as_array().unwrap().iter().map(floats).collect::<Vec<Vec<f32>>>();
    let weights = Some(numbers(&all["weights"])[..60].to_vec());
    let rows = Rows { x: pictures("x"), labels: vec![0.0; 60], weights, ..Rows::default() };
    let everything: Vec<usize> = (0..60).collect();
    let ranks = std::sync::Arc::new(flambeau_train::ProcessGroup::alone());
    let mut spec = case["spec"].clone();
    spec["program"]["package"] = json!(directory.join("pair_net"));
    let mut trainer = crate::support::open(&dataset_of_pairs(&rows, Some(&pictures("pairs")), &everything), &ranks, &spec).unwrap();
    let progress = finish(&mut trainer).unwrap();
    equals_python("pairs", &trainer, &progress, case);
    // Validation rows: the share whose own partner is the most similar one.
    let rows = Rows { validation: Some((0..60).map(|i| i % 3 == 0).collect()), weights: None, ..rows };
    let mut trainer = crate::support::open(&dataset_of_pairs(&rows, Some(&pictures("pairs")), &everything), &ranks, &spec).unwrap();
    let last = finish(&mut trainer).unwrap().ended.pop().unwrap();
    assert_eq!(last.metrics.keys().collect::<Vec<_>>(), ["accuracy"]);
    assert!(last.metrics["accuracy"] > 0.3 && last.validation_loss.unwrap() < (16_f64).ln(), "{last:?}: better than chance");
    for (key, value) in [("loss", json!("mse")), ("pair_inputs", json!([])), ("class_weights", json!([1.0, 2.0]))] {
        let mut other = spec.clone();
        other[key] = value;
        let error = crate::support::open(&dataset_of_pairs(&rows, Some(&pictures("pairs")), &everything), &ranks, &other).err().unwrap();
        assert!(error.to_string().contains("contrastive"), "{error}");
    }
}

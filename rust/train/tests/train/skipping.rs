//! Rows that cannot be trained on, left out if so configured: the result is the same as without them.

use std::sync::Arc;

use arrow_array::types::Float32Type;
use arrow_array::{ArrayRef, BinaryArray, Float64Array, Int64Array, ListArray};
use flambeau_train::{ProcessGroup, Skipped, TrainingDataset};
use serde_json::{Value, json};

use crate::support::{finish, folder, head_spec, open, parameters, reference, struct_of};
use crate::whole;

type List = Option<Vec<Option<f32>>>;

/// A finished dataset, and the rows that were left out.
fn written(columns: Vec<(&str, ArrayRef)>, options: Value) -> (Arc<TrainingDataset>, Vec<Skipped>) {
    let batch = struct_of(columns);
    let mut value = json!({"directory": folder("dataset"), "skip_invalid": true});
    for (key, option) in options.as_object().unwrap() {
        value[key] = option.clone();
    }
    let spec = whole::dataset(&value);
    let dataset = TrainingDataset::create(spec, batch.fields().clone()).unwrap();
    let skipped = dataset.add(&batch).unwrap();
    dataset.finish().unwrap();
    (Arc::new(dataset), skipped)
}

fn columns(x: Vec<List>, labels: Vec<Option<f64>>, weights: Vec<f64>) -> Vec<(&'static str, ArrayRef)> {
    let ids = Int64Array::from_iter_values(0..x.len() as i64);
    vec![
        ("x", Arc::new(ListArray::from_iter_primitive::<Float32Type, _, _>(x))),
        ("__label", Arc::new(Float64Array::from(labels))),
        ("__weight", Arc::new(Float64Array::from(weights))),
        ("__id", Arc::new(ids)),
    ]
}

#[test]
fn all_kinds_of_bad_rows_are_left_out_and_named() {
    let good = || Some(vec![Some(1.0), Some(2.0)]);
    let x = vec![
        good(),
        Some(vec![Some(1.0)]),
        None,
        Some(vec![Some(f32::NAN), Some(1.0)]),
        Some(vec![Some(1.0), Some(f32::NEG_INFINITY)]),
        Some(vec![Some(1.0), None]),
        good(),
        good(),
        good(),
        good(),
        Some(vec![Some(3.0), Some(4.0)]),
    ];
    let labels =
        vec![Some(0.0), Some(0.0), Some(0.0), Some(0.0), Some(0.0), Some(0.0), None, Some(f64::NAN), Some(2.0), Some(1.0), Some(1.0)];
    let mut weights = vec![1.0; 11];
    weights[9] = -1.0;
    let options = json!({"dense": {"x": {"shape": [2]}}, "label_range": [0.0, 1.0]});
    let (dataset, skipped) = written(columns(x, labels, weights), options);
    assert_eq!(skipped.iter().map(|one| one.row).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let causes = [
        "has 1 values",
        "NULL",
        "NaN or infinite",
        "NaN or infinite",
        "NULL",
        "the label is NULL",
        "the label is NaN",
        "the label is 2",
        "weight",
    ];
    for (one, cause) in skipped.iter().zip(causes) {
        assert!(one.cause.contains(cause) && !one.cause.contains("__"), "{one:?}");
    }
    assert_eq!(dataset.finish().unwrap().rows, 2);
}

#[test]
fn what_is_learnt_is_what_is_learnt_without_them() {
    let row = |i: usize| Some((0..6).map(|j| Some(((i * 7 + j * 3) % 11) as f32 / 5.0 - 1.0)).collect::<Vec<_>>());
    let label = |i: usize| Some((i % 3) as f64);
    let bad = |i: usize| i % 5 == 2;
    let with_bad: Vec<List> = (0..60).map(|i| if bad(i) { Some(vec![Some(0.0); 5]) } else { row(i) }).collect();
    let good: Vec<usize> = (0..60).filter(|i| !bad(*i)).collect();
    let options = json!({"dense": {"x": {"shape": [6]}}});
    let (with_bad, skipped) = written(columns(with_bad, (0..60).map(label).collect(), vec![1.0; 60]), options.clone());
    assert_eq!(skipped.len(), 12);
    let mut without = columns(good.iter().map(|i| row(*i)).collect(), good.iter().map(|i| label(*i)).collect(), vec![1.0; good.len()]);
    without[3].1 = Arc::new(Int64Array::from_iter_values(good.iter().map(|i| *i as i64)));
    let (without, skipped) = written(without, options);
    assert!(skipped.is_empty());
    let learnt = |dataset: &Arc<TrainingDataset>| {
        let mut trainer = open(dataset, &Arc::new(ProcessGroup::alone()), &head_spec()).unwrap();
        finish(&mut trainer).unwrap();
        parameters(&trainer)
    };
    assert_eq!(learnt(&with_bad), learnt(&without));
}

#[test]
fn bytes_that_do_not_decode_are_left_out_when_they_come() {
    let picture = image::RgbImage::from_fn(12, 12, |x, y| image::Rgb([x as u8 * 9, y as u8 * 9, 100]));
    let mut png = Vec::new();
    picture.write_to(&mut std::io::Cursor::new(&mut png), image::ImageFormat::Png).unwrap();
    let cut = png[..png.len() / 2].to_vec();
    let bytes: Vec<&[u8]> = (0..70)
        .map(|i| {
            if i == 3 {
                b"no picture".as_slice()
            } else if i == 50 {
                &cut
            } else {
                &png
            }
        })
        .collect();
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("content", Arc::new(BinaryArray::from_iter_values(bytes))),
        ("__label", Arc::new(Float64Array::from_iter_values((0..70).map(|i| f64::from(i % 2))))),
    ];
    let trial = json!({"trial": {"package": reference().1.join("image_net"), "inputs": ["content"]}});
    let (dataset, skipped) = written(columns, trial);
    assert_eq!(skipped.iter().map(|one| one.row).collect::<Vec<_>>(), [3, 50]);
    let spec = json!({
        "program": {"package": reference().1.join("image_net")}, "inputs": ["content"], "loss": "cross_entropy",
        "optimizer": {"name": "adam", "lr": 0.02}, "batch_rows": 16, "epochs": 1, "seed": 4,
    });
    let progress = finish(&mut open(&dataset, &Arc::new(ProcessGroup::alone()), &spec).unwrap()).unwrap();
    assert_eq!(progress.ended[0].samples, 68);
}

//! Programs over texts and sounds: rows are prepared as in inference, ahead of each step.

use std::sync::Arc;

use arrow_array::{Array, ArrayRef, BinaryArray, Float64Array, StringArray};
use flambeau_train::{ProcessGroup, TrainingDataset};
use serde_json::{Value, json};

use crate::support::{finish, folder, open, parameters, reference, struct_of};
use crate::whole;

fn dataset(column: &ArrayRef, labels: &[f64]) -> Arc<TrainingDataset> {
    let all = struct_of(vec![("input", column.clone()), ("__label", Arc::new(Float64Array::from(labels.to_vec())))]);
    let spec = whole::dataset(&json!({"directory": folder("dataset")}));
    let dataset = TrainingDataset::create(spec, all.fields().clone()).unwrap();
    // Two batches, the second a slice with an offset.
    for (from, count) in [(0, 20), (20, all.len() - 20)] {
        dataset.add(&all.slice(from, count)).unwrap();
    }
    dataset.finish().unwrap();
    Arc::new(dataset)
}

fn spec(package: &str) -> Value {
    json!({
        "program": {"package": reference().1.join(package)}, "inputs": ["input"], "loss": "cross_entropy",
        "optimizer": {"name": "adam", "lr": 0.02}, "batch_rows": 8, "epochs": 12, "seed": 4,
    })
}

/// First and last training loss.
fn losses(package: &str, column: &ArrayRef, labels: &[f64]) -> (f64, f64) {
    let mut trainer = open(&dataset(column, labels), &Arc::new(ProcessGroup::alone()), &spec(package)).unwrap();
    let history = finish(&mut trainer).unwrap().ended;
    assert!(!parameters(&trainer).is_empty());
    (history[0].train_loss.unwrap(), history[11].train_loss.unwrap())
}

#[test]
fn texts_are_learnt_from() {
    let words = [["good", "fine", "great", "lovely"], ["bad", "poor", "dull", "awful"]];
    let one = |i: usize| {
        let of = words[i % 2];
        format!("{} {}", ["film", "book"][i / 2 % 2], (0..1 + i % 5).map(|j| of[(i / 2 + j) % 4]).collect::<Vec<_>>().join(" "))
    };
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values((0..64).map(one)));
    let labels: Vec<f64> = (0..64).map(|i| f64::from(i % 2)).collect();
    let (first, last) = losses("text_net", &texts, &labels);
    assert!(last < 0.5 * first, "{first} to {last}");
}

/// A WAV file of 16-bit samples at 8 kHz.
fn wav(samples: &[i16]) -> Vec<u8> {
    let bytes = samples.len() as u32 * 2;
    let mut file = Vec::new();
    file.extend(b"RIFF");
    file.extend((36 + bytes).to_le_bytes());
    file.extend(b"WAVEfmt ");
    file.extend(16_u32.to_le_bytes());
    file.extend([1_u16, 1].iter().flat_map(|n| n.to_le_bytes()));
    file.extend([8000_u32, 16_000].iter().flat_map(|n| n.to_le_bytes()));
    file.extend([2_u16, 16].iter().flat_map(|n| n.to_le_bytes()));
    file.extend(b"data");
    file.extend(bytes.to_le_bytes());
    file.extend(samples.iter().flat_map(|s| s.to_le_bytes()));
    file
}

#[test]
fn sounds_of_different_lengths_are_learnt_from() {
    let clip = |i: usize| {
        let frequency = if i.is_multiple_of(2) { 0.1 } else { 1.5 };
        let samples: Vec<i16> = (0..400 + 37 * (i % 9)).map(|t| ((t as f64 * frequency + i as f64).sin() * 12_000.0) as i16).collect();
        wav(&samples)
    };
    let clips: ArrayRef = Arc::new(BinaryArray::from_iter_values((0..64).map(clip)));
    let labels: Vec<f64> = (0..64).map(|i| f64::from(i % 2)).collect();
    let (first, last) = losses("sound_net", &clips, &labels);
    assert!(last < 0.5 * first, "{first} to {last}");
}

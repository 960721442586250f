//! Specifications from the few keys that a test is about; the others have the values that estimators have unless told otherwise.

use flambeau_train::spec::TrainingSpec;
use flambeau_train::{DatasetSpec, GroupsSpec};
use serde_json::{Value, json};

/// `base` with what `more` says, object by object.
fn with(base: Value, more: &Value) -> Value {
    match (base, more) {
        (Value::Object(mut all), Value::Object(more)) => {
            for (key, value) in more {
                let own = all.remove(key).unwrap_or(Value::Null);
                all.insert(key.clone(), with(own, value));
            }
            Value::Object(all)
        }
        (_, other) => other.clone(),
    }
}

fn head() -> Value {
    json!({"hidden": [], "activation": "relu", "dropout": 0.0})
}

/// What all trainings have.
fn any() -> Value {
    json!({
        "label_smoothing": 0.0, "huber_delta": 1.0, "optimizer": {"momentum": 0.0, "nesterov": false, "weight_decay": 0.0},
        "schedule": {"name": "constant", "warmup_steps": 0, "step_epochs": 10, "gamma": 0.1},
    })
}

/// One training.
pub fn training(value: &Value) -> TrainingSpec {
    let alone = json!({
        "pair_inputs": [], "temperature": 0.05,
        "program": {"frozen": [], "learning_rate_factors": [], "no_weight_decay": [], "metric_methods": []}, "drop_last": false, "images": images(), "precision": "f32",
        "validation": {"metric": "loss", "min_delta": 0.0, "restore_best": true},
    });
    let program = if value["program"]["head"].is_object() { json!({"program": {"head": head()}}) } else { json!({}) };
    serde_json::from_value(with(with(with(any(), &alone), &program), value)).unwrap()
}

/// Many heads.
#[allow(dead_code, reason = "not every program trains many")]
pub fn groups(value: &Value) -> GroupsSpec {
    serde_json::from_value(with(with(any(), &json!({"head": head()})), value)).unwrap()
}

/// A dataset; its dense columns are of f32.
pub fn dataset(value: &Value) -> DatasetSpec {
    let mut all = with(json!({"shards": 0, "dense": {}, "skip_invalid": false}), value);
    if let Some(dense) = all["dense"].as_object_mut() {
        for column in dense.values_mut() {
            *column = with(json!({"dtype": "f32"}), column);
        }
    }
    if all["trial"].is_object() {
        all["trial"]["images"] = images();
    }
    serde_json::from_value(all).unwrap()
}

fn images() -> Value {
    json!({"max_pixels": 178_956_970, "decode": "exact"})
}

//! The settings that a continuation may not change, by the names that users know: all that the result depends on.
//!
//! Others may change: numWorkers, microBatchSize, peerTimeout, patience, minDelta, where and how often checkpoints and logs are
//! written, and maxEpochs if the schedule does not depend on it. The number, weights and labels of the rows are compared, by sums
//! that do not depend on the rows' order.

use serde_json::{Map, Value, json};

use super::spec::{ScheduleName, TrainingSpec};
use super::split::DataSplit;
use super::state::TrainState;

/// Relative tolerance of sums: they differ if rows come in another order.
const TOLERANCE: f64 = 1e-9;

/// Characters of a value in a message.
const SHOWN: usize = 80;

/// Those of a training over its rows, as a JSON object.
pub(super) fn of(state: &TrainState, split: &DataSplit) -> Value {
    let (spec, totals) = (&state.spec, &split.totals);
    let mut all = Map::new();
    let mut add = |name: &str, value: Value| all.insert(name.to_owned(), value);
    add("number of training rows", json!(split.total));
    add("number of validation rows", json!(totals.validation_rows as u64));
    add("sum of the training rows' weights", json!(totals.weight));
    add("sum of the validation rows' weights", json!(totals.validation_weight));
    add("sum over the labels", json!(totals.labels));
    add("batchSize", json!(spec.batch_rows));
    add("seed", json!(spec.seed));
    add("dropLast", json!(spec.drop_last));
    add("stepsPerEpoch", json!(spec.steps_per_epoch));
    add("precision", json!(format!("{:?}", spec.precision).to_lowercase()));
    add("loss", json!(spec.program.loss_method.as_ref().map_or_else(|| format!("{:?}", spec.loss), |method| format!("method:{method}"))));
    add("huberDelta", json!(spec.huber_delta));
    add("classWeights", json!(spec.class_weights));
    add("labelSmoothing", json!(spec.label_smoothing));
    add("clipNorm", json!(spec.clip_norm));
    add("emaDecay", json!(spec.ema_decay));
    add("metric", json!(spec.validation.metric.key()));
    add("restoreBest", json!(spec.validation.restore_best));
    add("inputs", json!(spec.inputs));
    // Null if there are no pairs, as in a checkpoint of before.
    let pairs = (!spec.pair_inputs.is_empty()).then_some(spec);
    add("pairCol", json!(pairs.map(|spec| &spec.pair_inputs)));
    add("temperature", json!(pairs.map(|spec| spec.temperature)));
    optimizer(spec, &mut add);
    schedule(spec, &mut add);
    program(state, &mut add);
    Value::Object(all)
}

fn optimizer(spec: &TrainingSpec, add: &mut impl FnMut(&str, Value) -> Option<Value>) {
    let options = spec.optimizer.options();
    add("optimizer", json!(format!("{:?}", spec.optimizer.name).to_lowercase()));
    add("learningRate", json!(options.lr));
    add("momentum", json!(options.momentum));
    add("nesterov", json!(options.nesterov));
    add("weightDecay", json!(options.weight_decay));
    add("beta1, beta2, eps, alpha", json!([options.beta1, options.beta2, options.eps, options.alpha]));
}

fn schedule(spec: &TrainingSpec, add: &mut impl FnMut(&str, Value) -> Option<Value>) {
    let schedule = &spec.schedule;
    add("schedule", json!(format!("{:?}", schedule.name).to_lowercase()));
    add("warmupSteps", json!(schedule.warmup_steps));
    match schedule.name {
        ScheduleName::Constant => {}
        ScheduleName::Step | ScheduleName::Plateau => {
            add("stepEpochs", json!(schedule.step_epochs));
            add("gamma", json!(schedule.gamma));
            if schedule.name == ScheduleName::Plateau {
                add("minDelta", json!(spec.validation.min_delta));
            }
        }
        ScheduleName::Linear | ScheduleName::Cosine | ScheduleName::OneCycle => {
            add("maxEpochs (the schedule depends on it)", json!(spec.epochs));
        }
    }
}

fn program(state: &TrainState, add: &mut impl FnMut(&str, Value) -> Option<Value>) {
    let spec = &state.spec.program;
    if let Some(head) = &spec.head {
        add("number of features", json!(head.inputs));
        add("number of outputs", json!(head.outputs));
        add("hiddenLayers", json!(head.hidden));
        add("activation", json!(format!("{:?}", head.activation).to_lowercase()));
        add("dropout", json!(head.dropout));
    }
    if let Some(package) = &state.program.package {
        add("model", json!(package.hash));
        add("outputName", json!(package.descriptor.outputs.get(state.program.output).map(|output| &output.name)));
        let trainable: Vec<String> = state.program.trainable.iter().map(|(name, t)| format!("{name} {:?}", t.size())).collect();
        add("parameters that are not frozen", json!(trainable.join(", ")));
        // Null if there are none, as in a checkpoint of before.
        let factors: Vec<String> = spec.learning_rate_factors.iter().map(|one| format!("{} {}", one.parameters, one.factor)).collect();
        add("learningRateFactors", json!(Some(factors).filter(|all| !all.is_empty())));
        add("noWeightDecay", json!(Some(&spec.no_weight_decay).filter(|all| !all.is_empty())));
    }
    let augment = state.spec.augment.unwrap_or_default();
    add("augmentation (flip, shift, color jitter)", json!([augment.flip, augment.shift, augment.color_jitter]));
}

/// One text for each setting that is not the same.
pub(super) fn differences(own: &Value, other: &Value) -> Vec<String> {
    let (Some(own), Some(other)) = (own.as_object(), other.as_object()) else { return vec!["it has no settings".to_owned()] };
    let names: std::collections::BTreeSet<&String> = own.keys().chain(other.keys()).collect();
    let value = |all: &Map<String, Value>, name: &String| all.get(name).cloned().unwrap_or(Value::Null);
    let one = |name: &String| {
        let (own, other) = (value(own, name), value(other, name));
        (!same(&own, &other)).then(|| format!("{name} is {}, the checkpoint's {}", shown(&own), shown(&other)))
    };
    names.into_iter().filter_map(one).collect()
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Value::Number(x), Value::Number(y)) if x.is_f64() || y.is_f64() => {
            let (x, y) = (x.as_f64().unwrap_or(f64::NAN), y.as_f64().unwrap_or(f64::NAN));
            (x - y).abs() <= TOLERANCE * x.abs().max(y.abs())
        }
        _ => a == b,
    }
}

fn shown(value: &Value) -> String {
    let text = match value {
        Value::Null => "not set".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    if text.chars().count() <= SHOWN { text } else { text.chars().take(SHOWN).chain("…".chars()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_listed_by_name_with_both_values() {
        let own = json!({"batchSize": 32, "learningRate": 0.1, "clipNorm": null, "weights": 1.0, "hiddenLayers": [8]});
        let other = json!({"batchSize": 64, "learningRate": 0.1, "clipNorm": 1.5, "weights": 1.000_000_000_000_1, "hiddenLayers": [8, 8]});
        assert_eq!(differences(&own, &own), Vec::<String>::new());
        assert_eq!(
            differences(&own, &other),
            [
                "batchSize is 32, the checkpoint's 64",
                "clipNorm is not set, the checkpoint's 1.5",
                "hiddenLayers is [8], the checkpoint's [8,8]"
            ]
        );
    }

    #[test]
    fn whole_numbers_are_compared_exactly() {
        assert_eq!(differences(&json!({"seed": 1_000_000_000_000_u64}), &json!({"seed": 1_000_000_000_001_u64})).len(), 1);
    }
}

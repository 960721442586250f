//! Every type of number reaches the program unchanged: training and inference get the same inputs.

use std::sync::Arc;

use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{ArrayRef, BooleanArray, Float64Array, Int64Array, ListArray};
use flambeau_engine::EngineError;
use flambeau_train::{ProcessGroup, TrainingDataset};
use serde_json::{Value, json};

use crate::support::{Parameters, finish, folder, open, parameters, reference, struct_of};
use crate::whole;

/// 16777217 is the first whole number that f32 does not hold.
const ODD: i64 = 16_777_217;

/// Trains `package` for one step of plain SGD; its gradient is just its input.
fn train(
    package: &str,
    dtype: &str,
    shape: &Value,
    column: &ArrayRef,
    labels: &ArrayRef,
    label_shape: Option<Value>,
) -> Result<Parameters, EngineError> {
    let batch = struct_of(vec![("x", column.clone()), ("__label", labels.clone())]);
    let mut dense = json!({"x": {"shape": shape, "dtype": dtype}});
    if let Some(shape) = label_shape {
        dense["__label"] = json!({"shape": shape, "dtype": "f64"});
    }
    let spec = whole::dataset(&json!({"directory": folder("dataset"), "dense": dense}));
    let dataset = TrainingDataset::create(spec, batch.fields().clone())?;
    dataset.add(&batch)?;
    dataset.finish()?;
    let spec = json!({
        "program": {"package": reference().1.join(package)}, "inputs": ["x"], "loss": "mae",
        "optimizer": {"name": "sgd", "lr": 1.0}, "batch_rows": 8, "epochs": 1, "seed": 0,
    });
    let mut trainer = open(&Arc::new(dataset), &Arc::new(ProcessGroup::alone()), &spec)?;
    finish(&mut trainer)?;
    Ok(parameters(&trainer))
}

fn whole(values: &[i64]) -> ArrayRef {
    Arc::new(Int64Array::from(values.to_vec()))
}

fn reals(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

#[test]
fn whole_numbers_are_exact_as_scalars_and_in_arrays() {
    // The program picks row x - 2^24 of a table: a rounded id would pick another one.
    let labels = reals(&[100.0, 100.0]);
    let picked =
        |parameters: &Parameters| parameters["table"].iter().enumerate().filter(|(_, v)| **v != 0.0).map(|(i, _)| i).collect::<Vec<_>>();
    assert_eq!(picked(&train("pick_i64_scalar", "i64", &json!([]), &whole(&[ODD, ODD + 2]), &labels, None).unwrap()), [1, 3]);
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([ODD, ODD + 2].map(|id| Some(vec![Some(id)]))));
    assert_eq!(picked(&train("pick_i64", "i64", &json!([1]), &lists, &labels, None).unwrap()), [1, 3]);
    assert_eq!(picked(&train("pick_i32_scalar", "i32", &json!([]), &whole(&[ODD, ODD + 2]), &labels, None).unwrap()), [1, 3]);
    let doubles = reals(&[ODD as f64, (ODD + 2) as f64]);
    assert_eq!(picked(&train("pick_f64_scalar", "f64", &json!([]), &doubles, &labels, None).unwrap()), [1, 3]);
}

#[test]
fn small_types_arrive_as_themselves() {
    let labels = reals(&[100.0, 100.0]);
    for dtype in ["f16", "bf16", "i16", "i8", "u8"] {
        let scalar = format!("seen_{dtype}");
        let parameters = train(&scalar, dtype, &json!([]), &whole(&[1, 3]), &labels, None).unwrap();
        // The gradient of w in |w x - 100|, averaged over rows, is -mean(x).
        assert_eq!(parameters["w"], [2.0], "{dtype}");
    }
    let flags: ArrayRef = Arc::new(BooleanArray::from(vec![true, false]));
    assert_eq!(train("seen_bool", "bool", &json!([]), &flags, &labels, None).unwrap()["w"], [0.5]);
}

#[test]
fn what_a_type_does_not_hold_is_an_error_of_its_row() {
    let labels = reals(&[100.0, 100.0]);
    let refused = |package: &str, dtype: &str, column: &ArrayRef| {
        let error = train(package, dtype, &json!([]), column, &labels, None).unwrap_err();
        assert_eq!((error.kind(), error.row()), ("bad_input", Some(1)), "{error}");
        error.to_string()
    };
    assert!(refused("seen_u8", "u8", &whole(&[3, 300])).contains("the value 300 does not fit dtype u8"));
    assert!(refused("seen_i8", "i8", &whole(&[3, -129])).contains("does not fit dtype i8"));
    assert!(refused("seen_bool", "bool", &whole(&[1, 2])).contains("does not fit dtype bool"));
    assert!(refused("pick_i64_scalar", "i64", &reals(&[ODD as f64, 0.5])).contains("the value 0.5 does not fit dtype i64"));
    // 2^53 may have been 2^53 + 1 before it was a double.
    assert!(refused("pick_i64_scalar", "i64", &reals(&[ODD as f64, 9_007_199_254_740_992.0])).contains("does not fit dtype i64"));
    assert!(refused("seen_f16", "f16", &reals(&[1.0, 1e6])).contains("NaN or infinite"));
}

#[test]
fn labels_of_a_program_that_gives_f64_keep_all_their_digits() {
    // The output is its parameter; one step of SGD on |w - label| goes up only if the label is larger, even by 1e-9.
    let label = 1_700_000_000.123_456_7_f64;
    let labels: ArrayRef = reals(&[label, label]);
    let column = reals(&[label, label]);
    let parameters = train("offset_f64", "f64", &json!([]), &column, &labels, None).unwrap();
    assert_eq!(parameters["w"], [0.0], "x - label is 0 in f64; rounded to f32 it is not");
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>([label, label].map(|v| Some(vec![Some(v)]))));
    let parameters = train("offset_f64", "f64", &json!([]), &column, &lists, Some(json!([1]))).unwrap();
    assert_eq!(parameters["w"], [0.0]);
}

#[test]
fn a_loss_of_the_programs_own_gets_no_rounded_id() {
    let batch = struct_of(vec![("x", whole(&[ODD, ODD])), ("__label", reals(&[1.0, ODD as f64]))]);
    let dense = json!({"x": {"shape": [], "dtype": "i64"}});
    let dataset =
        TrainingDataset::create(whole::dataset(&json!({"directory": folder("dataset"), "dense": dense})), batch.fields().clone()).unwrap();
    dataset.add(&batch).unwrap();
    dataset.finish().unwrap();
    let spec = json!({
        "program": {"package": reference().1.join("pick_i64_scalar"), "loss_method": "rows_loss"}, "inputs": ["x"], "loss": "mae",
        "optimizer": {"name": "sgd", "lr": 1.0}, "batch_rows": 8, "epochs": 1, "seed": 0,
    });
    let error = open(&Arc::new(dataset), &Arc::new(ProcessGroup::alone()), &spec).err().unwrap();
    assert_eq!((error.kind(), error.row()), ("bad_input", Some(1)), "{error}");
    assert!(error.to_string().contains("16777217 is a whole number that f32 cannot hold"), "{error}");
}

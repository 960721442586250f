//! Sessions over real TorchScript programs, without a JVM.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, Float32Array, ListArray};
use common::{batch, evaluate, floats, package, session};
use flambeau_engine::{Counters, ModelOptions, Request, Task, registry};

fn values(list: &ArrayRef, row: usize) -> Vec<f32> {
    list.as_list::<i32>().value(row).as_primitive::<Float32Type>().values().to_vec()
}

#[test]
fn features_come_in_row_order_with_null_for_null() {
    let column = floats(vec![Some(vec![1.0, 2.0, 3.0, 4.0]), None, Some(vec![5.0, 6.0, 7.0, 8.0])]);
    let (result, counters) = evaluate("tiny", column, Request::one(Task::Featurize, 0, false)).unwrap();
    assert_eq!(values(&result, 0), [2.0, 4.0, 6.0]);
    assert!(result.is_null(1));
    assert_eq!(values(&result, 2), [10.0, 12.0, 14.0]);
    assert_eq!((counters.rows, counters.forwards, counters.bad_rows), (3, 1, 0));
}

#[test]
fn a_bad_row_is_an_error_that_names_it_or_null_where_tolerated() {
    let column = floats(vec![Some(vec![1.0; 4]), Some(vec![1.0; 3]), Some(vec![2.0; 4])]);
    let error = evaluate("tiny", column.clone(), Request::one(Task::Featurize, 0, false)).unwrap_err();
    assert_eq!((error.kind(), error.row()), ("bad_input", Some(1)));
    assert_eq!(error.to_string(), "input 'x': dimension 0 has 3 values; the model takes 4 (shape [4])");
    let (result, counters) = evaluate("tiny", column.clone(), Request::one(Task::Featurize, 0, true)).unwrap();
    assert!(result.is_null(1));
    assert_eq!(values(&result, 2), [4.0; 3]);
    assert_eq!(counters.bad_rows, 1);
    let (reasons, _) = evaluate("tiny", column, Request::one(Task::Error, 0, true)).unwrap();
    let reasons = reasons.as_string::<i32>();
    assert!(reasons.is_null(0) && reasons.value(1).contains("3 values"));
}

#[test]
fn classes_are_best_first_with_labels_and_probabilities() {
    let column = floats(vec![Some(vec![0.0, 1.0, 3.0, 2.0])]);
    let (result, _) = evaluate("tiny", column, Request::one(Task::Classify, 2, false)).unwrap();
    let best = result.as_list::<i32>().value(0);
    let best = best.as_struct();
    assert_eq!(best.column(0).as_string::<i32>().iter().map(Option::unwrap).collect::<Vec<_>>(), ["b", "c"]);
    assert_eq!(best.column(1).as_primitive::<Int32Type>().values().to_vec(), [1, 2]);
    let e = |x: f32| x.exp();
    let expected = e(3.0) / (e(1.0) + e(3.0) + e(2.0));
    assert!((best.column(2).as_primitive::<Float32Type>().value(0) - expected).abs() < 1e-6);
}

#[test]
fn an_empty_batch_and_a_batch_of_nulls_run_no_forward() {
    for rows in [vec![], vec![None, None]] {
        let expected = rows.len();
        let (result, counters) = evaluate("tiny", floats(rows), Request::one(Task::Featurize, 0, false)).unwrap();
        assert_eq!((result.len(), result.null_count(), counters.forwards), (expected, expected, 0));
    }
}

#[test]
fn many_passes_give_what_one_pass_gives() {
    let rows: Vec<_> = (0..10_000_i16).map(|i| (i % 7 != 0).then(|| vec![f32::from(i), 1.0, 2.0, 3.0])).collect();
    let (result, counters) = evaluate("tiny", floats(rows.clone()), Request::one(Task::Featurize, 0, false)).unwrap();
    assert!(counters.forwards > 1, "the fixture must need several passes");
    for (i, row) in rows.iter().enumerate() {
        match row {
            Some(row) => assert_eq!(values(&result, i)[0].to_bits(), (row[0] * 2.0).to_bits()),
            None => assert!(result.is_null(i)),
        }
    }
}

#[test]
fn one_model_serves_many_threads_at_once() {
    let column = floats((0..500_i16).map(|i| Some(vec![f32::from(i), 0.0, 0.0, 0.0])).collect());
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let (result, _) = evaluate("tiny", column.clone(), Request::one(Task::Featurize, 0, false)).unwrap();
                assert_eq!(values(&result, 499)[0].to_bits(), 998.0_f32.to_bits());
            });
        }
    });
    let open = || registry::open(&package("tiny"), &ModelOptions::plain()).unwrap();
    assert!(Arc::ptr_eq(&open(), &open()), "one copy of the weights");
}

#[test]
fn damaged_packages_say_what_is_wrong() {
    for (name, needle) in [("bad_hash", "was altered"), ("bad_toml", "model.toml"), ("not_torchscript", "cannot be loaded as TorchScript")]
    {
        let error = registry::open(&package(name), &ModelOptions::plain()).unwrap_err();
        assert_eq!(error.kind(), "bad_model", "{name}");
        assert!(error.to_string().contains(needle), "{name}: {error}");
        assert!(!error.to_string().contains("frame #"), "{name}: {error}");
    }
}

#[test]
fn a_package_that_changed_since_planning_is_refused() {
    let options = ModelOptions { hash: Some("0".repeat(64)), ..ModelOptions::plain() };
    assert!(registry::open(&package("tiny"), &options).unwrap_err().to_string().contains("changed since"));
}

#[test]
fn programs_that_misbehave_fail_their_call_only() {
    let column = floats(vec![Some(vec![-1.0, 0.0, 0.0, 0.0])]);
    let raised = evaluate("raises", column.clone(), Request::one(Task::Featurize, 0, false)).unwrap_err();
    assert_eq!((raised.kind(), raised.row()), ("bad_input", Some(0)));
    let wrong = evaluate("wrong_shape", column.clone(), Request::one(Task::Featurize, 0, false)).unwrap_err();
    assert_eq!(wrong.kind(), "bad_model");
    assert!(wrong.to_string().contains("has shape [1, 2]"), "{wrong}");
    let refused = evaluate("allocates", column.clone(), Request::one(Task::Featurize, 0, false)).unwrap_err();
    assert_eq!(refused.kind(), "out_of_memory", "{refused}");
    assert!(evaluate("tiny", column, Request::one(Task::Featurize, 0, false)).is_ok());
}

#[test]
fn columns_and_requests_that_do_not_fit_are_refused_at_once() {
    let column: ArrayRef = Arc::new(Float32Array::from(vec![1.0]));
    let error = session("tiny", &column, Request::one(Task::Featurize, 0, false)).err().unwrap();
    assert_eq!(error.kind(), "bad_request");
    let column = floats(vec![Some(vec![0.0; 16])]);
    let error = session("noop", &column, Request::one(Task::Classify, 1, false)).err().unwrap();
    assert!(error.to_string().contains("role 'scores'"), "{error}");
}

#[test]
fn a_batch_of_other_columns_is_an_error_not_a_crash() {
    let column = floats(vec![Some(vec![0.0; 4])]);
    let bound = session("tiny", &column, Request::one(Task::Featurize, 0, false)).unwrap();
    let other: ArrayRef = Arc::new(Float32Array::from(vec![1.0]));
    assert_eq!(bound.evaluate(&batch(other), &mut Counters::default()).unwrap_err().kind(), "internal");
}

/// 100 rows that count up; those at `negative` begin with a negative number, which makes some programs fail.
fn counting(negative: &[i16]) -> ArrayRef {
    floats((0..100_i16).map(|i| Some(vec![if negative.contains(&i) { -1.0 } else { f32::from(i) }, 1.0, 2.0, 3.0])).collect())
}

#[test]
fn a_row_that_the_program_refuses_is_found_and_harms_no_other() {
    for (program, message) in [("raises", "the first value must not be negative"), ("drops", "output 'features' has shape [0, 3]")] {
        let bad = [17, 63, 64, 99];
        let strict = evaluate(program, counting(&bad), Request::one(Task::Featurize, 0, false)).unwrap_err();
        assert_eq!((strict.kind(), strict.row()), ("bad_input", Some(17)), "{program}: {strict}");
        assert!(strict.to_string().contains(message), "{program}: {strict}");
        let (result, counters) = evaluate(program, counting(&bad), Request::one(Task::Featurize, 0, true)).unwrap();
        for row in 0..100_i16 {
            let i = usize::try_from(row).unwrap();
            assert_eq!(result.is_null(i), bad.contains(&row), "{program}: row {row}");
            if !bad.contains(&row) {
                assert_eq!(values(&result, i), [2.0 * f32::from(row), 2.0, 4.0], "{program}: row {row}");
            }
        }
        assert_eq!((counters.rows, counters.bad_rows), (100, 4));
        assert!(counters.passes_again > 0 && counters.passes_again <= 4 * 2 * 7, "{program}: {}", counters.passes_again);
        let (reasons, _) = evaluate(program, counting(&bad), Request::one(Task::Error, 0, true)).unwrap();
        let reasons = reasons.as_string::<i32>();
        assert_eq!((reasons.null_count(), reasons.value(17).contains(message)), (96, true), "{}", reasons.value(17));
    }
}

#[test]
fn without_a_row_that_the_program_refuses_nothing_runs_again() {
    let (_, counters) = evaluate("raises", counting(&[]), Request::one(Task::Featurize, 0, true)).unwrap();
    assert_eq!((counters.passes_again, counters.bad_rows), (0, 0));
}

#[test]
fn one_row_alone_is_a_bad_row_too() {
    let column = floats(vec![Some(vec![-1.0, 0.0, 0.0, 0.0])]);
    let (result, counters) = evaluate("raises", column, Request::one(Task::Featurize, 0, true)).unwrap();
    assert!(result.is_null(0));
    assert_eq!(counters.bad_rows, 1);
}

#[test]
fn a_program_that_answers_no_row_is_a_bad_model() {
    let error = evaluate("refuses", counting(&[]), Request::one(Task::Featurize, 0, true)).unwrap_err();
    assert_eq!(error.kind(), "bad_model");
    assert!(error.to_string().contains("each of the 100 rows") && error.to_string().contains("takes nothing"), "{error}");
    let error = evaluate("wrong_shape", counting(&[]), Request::one(Task::Featurize, 0, true)).unwrap_err();
    assert_eq!(error.kind(), "bad_model", "{error}");
    let memory = evaluate("allocates", counting(&[]), Request::one(Task::Featurize, 0, true)).unwrap_err();
    assert_eq!(memory.kind(), "out_of_memory", "{memory}");
}

fn ids(rows: &[[i64; 2]]) -> ArrayRef {
    let rows = rows.iter().map(|row| Some(row.map(Some).to_vec()));
    Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(rows))
}

#[test]
fn an_unknown_id_is_its_rows_fault_with_limits_in_the_package_and_without() {
    let column = ids(&[[1, 2], [3, 10], [4, 5], [-1, 0], [9, 9]]);
    for (package, message) in [
        ("embeds", "index out of range"),
        ("embeds_bounded", "input 'x': the value 10 is above 9, the largest that the model takes (max in its model.toml)"),
    ] {
        let error = evaluate(package, column.clone(), Request::one(Task::Featurize, 0, false)).unwrap_err();
        assert_eq!((error.kind(), error.row()), ("bad_input", Some(1)), "{error}");
        assert!(error.to_string().contains(message), "{error}");
        let (result, counters) = evaluate(package, column.clone(), Request::one(Task::Featurize, 0, true)).unwrap();
        assert_eq!((0..5).map(|row| result.is_null(row)).collect::<Vec<_>>(), [false, true, false, true, false]);
        assert_eq!((values(&result, 0), values(&result, 4)), (vec![3.0, 30.0, 300.0], vec![18.0, 180.0, 1800.0]));
        assert_eq!((counters.bad_rows, counters.passes_again > 0), (2, package == "embeds"));
    }
    let (reasons, _) = evaluate("embeds_bounded", column, Request::one(Task::Error, 0, true)).unwrap();
    assert_eq!(
        reasons.as_string::<i32>().value(3),
        "input 'x': the value -1 is below 0, the least that the model takes (min in its model.toml)"
    );
}

#[test]
fn a_row_that_promises_more_items_than_there_are_is_its_own_fault() {
    let column: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>([2, 7, 0, -1, 3].map(|n| Some(vec![Some(n)]))));
    let (result, counters) = evaluate("counts", column, Request::one(Task::Infer, 0, true)).unwrap();
    assert_eq!(counters.bad_rows, 2);
    let items = result.as_struct().column(0).as_list::<i32>();
    let lengths: Vec<Option<usize>> = (0..5).map(|i| (!result.is_null(i)).then(|| items.value(i).len())).collect();
    assert_eq!(lengths, [Some(2), None, Some(0), None, Some(3)]);
}

#[test]
fn a_task_that_is_stopped_runs_no_further_pass() {
    let column = counting(&[]);
    let bound = session("tiny", &column, Request::one(Task::Featurize, 0, false)).unwrap();
    let mut counters = Counters::default();
    let error = bound.evaluate_until(&batch(column), &mut counters, &mut || true).unwrap_err();
    assert_eq!((error.kind(), counters.forwards), ("canceled", 0));
}

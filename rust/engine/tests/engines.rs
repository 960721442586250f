//! Engines: each gives the same results as TorchScript, from many threads at once, and `auto` saves its choice.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ArrayRef, BinaryArray, ListArray, StringArray};
use arrow_schema::{Field, Fields};
use common::{batch, bitmap, package, repository};
use flambeau_engine::package::Precision;
use flambeau_engine::{
    Counters, Device, EngineName, Model, ModelOptions, OutputRequest, Request, Session, Task, WantedEngine, keep_choices, registry, stats,
};
use flambeau_torch_ext::{Archive, FusedModule, ScriptModule};
use tch::Tensor;

/// A package of `./gradlew models`.
fn shipped(name: &str) -> PathBuf {
    let path = repository().join("build/models").join(name);
    assert!(path.is_dir(), "{} is missing: run ./gradlew models", path.display());
    path
}

fn open(package: &Path, engine: &str) -> Arc<Model> {
    registry::open(package, &ModelOptions { engine: serde_json::from_value(engine.into()).unwrap(), ..ModelOptions::plain() }).unwrap()
}

fn features(model: &Arc<Model>, column: &ArrayRef) -> Vec<Vec<f32>> {
    let fields = Fields::from(vec![Field::new("x", column.data_type().clone(), true)]);
    let session = Session::new(model.clone(), fields, Request::one(Task::Featurize, 0, false)).unwrap();
    let result = session.evaluate(&batch(column.clone()), &mut Counters::default()).unwrap();
    result.column(0).as_list::<i32>().iter().map(|row| row.unwrap().as_primitive::<Float32Type>().values().to_vec()).collect()
}

fn picture(seed: u32) -> Vec<u8> {
    bitmap(seed, 96, 80)
}

fn pictures(count: u32) -> ArrayRef {
    let pictures: Vec<Vec<u8>> = (0..count).map(picture).collect();
    Arc::new(BinaryArray::from_iter_values(pictures))
}

fn texts(count: usize) -> ArrayRef {
    let words = "the rain went on all night over roofs and towers while nobody in this small town slept at all";
    let text = |i: usize| words.split(' ').cycle().skip(i).take(1 + i * 7 % 40).collect::<Vec<_>>().join(" ");
    Arc::new(StringArray::from_iter_values((0..count).map(text)))
}

fn assert_same(expected: &[Vec<f32>], given: &[Vec<f32>]) {
    assert_near(expected, given, 0.999_999, 1e-4);
}

fn assert_near(expected: &[Vec<f32>], given: &[Vec<f32>], least_cosine: f64, most_distance: f32) {
    assert_eq!(expected.len(), given.len());
    for (row, (a, b)) in expected.iter().zip(given).enumerate() {
        let dot = |x: &[f32], y: &[f32]| x.iter().zip(y).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum::<f64>();
        let cosine = dot(a, b) / (dot(a, a) * dot(b, b)).sqrt();
        let furthest = a.iter().zip(b).map(|(x, y)| (x - y).abs()).fold(0.0, f32::max);
        assert!(cosine > least_cosine && furthest < most_distance, "row {row}: cosine {cosine}, furthest {furthest}");
    }
}

#[test]
fn fused_gives_the_features_of_torchscript_for_every_number_of_images() {
    let package = shipped("efficientnet_lite0");
    let (plain, fused) = (open(&package, "torchscript"), open(&package, "fused"));
    assert_eq!((plain.engine(), fused.engine()), (EngineName::Torchscript, EngineName::Fused));
    let expected = features(&plain, &pictures(11));
    for rows in [1, 2, 3, 4, 5, 11] {
        let rows_before = stats::ROWS_FORWARDED.get();
        assert_same(&expected[..rows], &features(&fused, &pictures(rows as u32)));
        assert!(stats::ROWS_FORWARDED.get() >= rows_before + rows as u64);
    }
}

#[test]
fn classes_are_computed_only_if_they_are_wanted_and_are_those_of_torchscript() {
    let package = shipped("efficientnet_lite0");
    let program = Archive::open(&package.join("model.pt")).unwrap();
    let script = ScriptModule::load(&program, None, Device::Cpu).unwrap();
    let fused = FusedModule::new(&script).unwrap();
    let images = [Tensor::f_rand([4, 3, 224, 224], (tch::Kind::Float, tch::Device::Cpu)).unwrap()];
    let expected = script.forward(&images).unwrap().tensors;
    for (wanted, features, classes) in [(0b11, true, true), (0b01, true, false), (0b10, true, true)] {
        let given = fused.forward(&images, wanted).unwrap().tensors;
        assert_eq!(given.iter().map(Tensor::defined).collect::<Vec<_>>(), [features, classes], "{wanted:b}");
        for (right, given) in expected.iter().zip(&given).filter(|(_, given)| given.defined()) {
            assert!(given.f_allclose(right, 1e-4, 1e-4, false).unwrap(), "{wanted:b}");
        }
    }
}

#[test]
fn each_request_over_an_engine_gets_its_outputs() {
    let package = shipped("efficientnet_lite0");
    let column = pictures(7);
    let fields = Fields::from(vec![Field::new("x", column.data_type().clone(), true)]);
    let columns = |engine: &str, tasks: &[Task]| {
        let outputs = tasks.iter().map(|task| OutputRequest { task: *task, k: 3, threshold: 0.5, null_on_error: false }).collect();
        let request = Request { outputs, ..Request::one(Task::Infer, 0, false) };
        let session = Session::new(open(&package, engine), fields.clone(), request).unwrap();
        session.evaluate(&batch(column.clone()), &mut Counters::default()).unwrap()
    };
    let labels = |column: &ArrayRef| {
        let rows = column.as_list::<i32>();
        let labels =
            rows.iter().map(|row| row.unwrap().as_struct().column(0).as_string::<i32>().iter().map(|l| l.unwrap().to_owned()).collect());
        labels.collect::<Vec<Vec<String>>>()
    };
    let all = columns("fused", &[Task::Classify, Task::Featurize]);
    assert_eq!(labels(columns("fused", &[Task::Classify]).column(0)), labels(all.column(0)));
    assert_eq!(labels(columns("torchscript", &[Task::Classify]).column(0)), labels(all.column(0)));
    assert_eq!(columns("fused", &[Task::Featurize]).column(0), all.column(1));
    assert!(columns("fused", &[Task::Error]).column(0).null_count() == 7);
    assert_eq!(columns("fused", &[Task::Infer]).column(0).as_struct().column(0), all.column(1));
}

#[test]
fn padding_of_every_kind_gives_what_torchscript_gives() {
    let package = package("pads");
    let fused = open(&package, "fused");
    assert_eq!(fused.engine(), EngineName::Fused);
    assert_same(&features(&open(&package, "torchscript"), &pictures(5)), &features(&fused, &pictures(5)));
}

#[test]
fn attention_in_bf16_is_as_near_as_bf16_is_and_other_attention_is_the_same() {
    let package = package("attends");
    let fused = open(&package, "fused");
    assert_eq!(fused.engine(), EngineName::Fused);
    let (expected, given) = (features(&open(&package, "torchscript"), &pictures(5)), features(&fused, &pictures(5)));
    let part = |rows: &[Vec<f32>], values: std::ops::Range<usize>| rows.iter().map(|row| row[values.clone()].to_vec()).collect::<Vec<_>>();
    assert_near(&part(&expected, 0..36), &part(&given, 0..36), 0.9999, 0.05);
    assert_same(&part(&expected, 36..60), &part(&given, 36..60));
}

#[test]
fn texts_in_bf16_have_the_features_of_f32() {
    let package = shipped("minilm_l6_v2");
    let bf16 = ModelOptions { precision: Precision::Bf16, engine: WantedEngine::Fused, ..ModelOptions::plain() };
    let given = features(&registry::open(&package, &bf16).unwrap(), &texts(60));
    assert_near(&features(&open(&package, "torchscript"), &texts(60)), &given, 0.999, 0.02);
}

#[test]
fn fused_gives_the_features_of_torchscript_for_texts_of_all_lengths() {
    let package = shipped("minilm_l6_v2");
    assert_same(&features(&open(&package, "torchscript"), &texts(60)), &features(&open(&package, "fused"), &texts(60)));
}

#[test]
fn eight_threads_that_begin_together_give_the_same_bits() {
    for (name, column) in [("efficientnet_lite0", pictures(9)), ("minilm_l6_v2", texts(30))] {
        let model = open(&shipped(name), "fused");
        let results: Vec<Vec<Vec<f32>>> = std::thread::scope(|scope| {
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(|| features(&model, &column))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(results.iter().all(|result| *result == results[0]), "{name}");
    }
}

#[test]
fn a_row_that_cannot_be_decoded_leaves_the_layout_of_the_others() {
    let mut pictures: Vec<Vec<u8>> = (0..7).map(picture).collect();
    pictures[2] = b"no picture".to_vec();
    let column: ArrayRef = Arc::new(BinaryArray::from_iter_values(pictures));
    let fields = Fields::from(vec![Field::new("x", column.data_type().clone(), true)]);
    let evaluate = |engine: &str| {
        let session = Session::new(open(&shipped("efficientnet_lite0"), engine), fields.clone(), Request::one(Task::Featurize, 0, true));
        let result = session.unwrap().evaluate(&batch(column.clone()), &mut Counters::default()).unwrap();
        let rows = result.column(0).as_list::<i32>().iter().map(|row| row.map(|row| row.as_primitive::<Float32Type>().values().to_vec()));
        rows.collect::<Vec<_>>()
    };
    let (expected, given) = (evaluate("torchscript"), evaluate("fused"));
    assert!(given[2].is_none() && expected[2].is_none());
    let sound = |rows: Vec<Option<Vec<f32>>>| rows.into_iter().flatten().collect::<Vec<_>>();
    assert_same(&sound(expected), &sound(given));
}

#[test]
fn auto_remembers_what_it_chose() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("choices-{}", std::process::id()));
    keep_choices(folder.clone());
    let package = shipped("efficientnet_lite0");
    let chosen = open(&package, "auto").engine();
    let kept: Vec<PathBuf> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    let text = fs::read_to_string(&kept[0]).unwrap();
    assert!(text.contains(&format!("\"engine\": \"{chosen}\"")) && text.contains("cosine"), "{text}");
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_program_that_fused_cannot_make_faster_runs_on_torchscript() {
    let model = open(&package("noop"), "fused");
    assert_eq!(model.engine(), EngineName::Torchscript);
    let column = ListArray::from_iter_primitive::<Float32Type, _, _>([Some(vec![Some(1.0); 16])]);
    let fields = Fields::from(vec![Field::new("x", column.data_type().clone(), true)]);
    assert!(Session::new(model, fields, Request::one(Task::Infer, 0, false)).is_ok());
}

#[test]
fn machine_code_does_not_run_unless_it_is_allowed() {
    for engine in ["aot", "auto"] {
        assert_ne!(open(&package("compiled"), engine).engine(), EngineName::Aot);
    }
}

#[test]
fn an_unknown_engine_is_named_with_the_known_ones() {
    let error = serde_json::from_str::<WantedEngine>("\"warp\"").unwrap_err().to_string();
    assert!(error.contains("unknown variant `warp`, expected one of `auto`, `torchscript`, `fused`, `aot`"), "{error}");
}

#[test]
fn a_device_that_cannot_be_used_is_an_error_and_no_other_takes_its_place() {
    let on = |engine, device| registry::open(&package("tiny"), &ModelOptions { engine, device, ..ModelOptions::plain() }).unwrap_err();
    let absent = on(WantedEngine::Auto, Device::Cuda(127));
    assert_eq!(absent.kind(), "device");
    assert!(absent.to_string().contains("cuda:127 cannot be used: "), "{absent}");
    let fused = on(WantedEngine::Fused, Device::Cuda(0));
    assert_eq!(fused.kind(), "bad_request");
    assert!(fused.to_string().contains("set the engine to auto"), "{fused}");
}

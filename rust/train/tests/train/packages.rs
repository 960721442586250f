//! Results as packages, run by the same sessions as every other package; and trainings on pictures.

use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Float32Type, Int32Type};
use arrow_array::{Array, ArrayRef, BinaryArray, Float64Array, StructArray};
use arrow_schema::{Field, Fields};
use flambeau_engine::package::Precision;
use flambeau_engine::{Counters, ModelOptions, Request, Session, Task, registry};
use flambeau_train::{ExportSpec, ProcessGroup, TrainingDataset};
use serde_json::json;

use crate::support::{Parameters, Rows, alone, class_rows, difference, finish, floats, folder, head_spec, open, parameters, reference};
use crate::whole;

fn publish(name: &str, labels: &[&str], featurizer: Option<&Path>) -> ExportSpec {
    ExportSpec {
        name: name.into(),
        labels: (!labels.is_empty()).then(|| labels.iter().map(|l| (*l).to_owned()).collect()),
        license: "MIT".into(),
        description: "made by a test".into(),
        featurizer: featurizer.map(Path::to_path_buf),
    }
}

fn evaluate(package: &Path, column: ArrayRef, task: Task) -> ArrayRef {
    let model = registry::open(package, &ModelOptions::plain()).unwrap();
    let fields = Fields::from(vec![Field::new("x", column.data_type().clone(), true)]);
    let session = Session::new(model, fields.clone(), Request::one(task, 1, false)).unwrap();
    let batch = StructArray::new(fields, vec![column], None);
    session.evaluate(&batch, &mut Counters::default()).unwrap().column(0).clone()
}

fn best_class(result: &ArrayRef, row: usize) -> (String, i32) {
    let best = result.as_list::<i32>().value(row);
    let best = best.as_struct();
    (best.column(0).as_string::<i32>().value(0).to_owned(), best.column(1).as_primitive::<Int32Type>().value(0))
}

#[test]
fn a_head_becomes_a_package_that_classifies() {
    let rows = class_rows(false);
    let mut spec = head_spec();
    spec["epochs"] = json!(40);
    let mut trainer = alone(&rows, &spec);
    finish(&mut trainer).unwrap();
    let directory = folder("package");
    let description = trainer.save_package(&directory, &publish("flowers", &["rose", "tulip", "daisy"], None)).unwrap();
    assert_eq!((description.name.as_str(), description.trainable), ("flowers", true));
    assert_eq!(description.outputs[0].labels, 3);
    let all: Vec<usize> = (0..rows.x.len()).collect();
    let result = evaluate(&directory, rows.batch(&all).column(0).clone(), Task::Classify);
    let right = all.iter().filter(|i| f64::from(best_class(&result, **i).1) == rows.labels[**i]).count();
    assert!(right > 160, "{right} of 203 rows: the head has learnt");
    let (label, index) = best_class(&result, 0);
    assert_eq!(label, ["rose", "tulip", "daisy"][index as usize]);
    let again = trainer.save_package(&directory, &publish("flowers", &[], None)).unwrap_err();
    assert!(again.to_string().contains("not empty"), "{again}");
    let error = trainer.save_package(&folder("p"), &publish("flowers", &["one"], None)).unwrap_err();
    assert!(error.to_string().contains("1 labels for 3 outputs"), "{error}");
}

#[test]
fn a_head_goes_behind_its_featurizer_whose_program_stays_as_it_is() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/test-packages/tiny");
    let raw: Vec<Vec<f32>> = class_rows(false).x.iter().map(|row| row[..4].to_vec()).collect();
    // The result of tiny: the first three values, doubled.
    let featurized = raw.iter().map(|row| row[..3].iter().map(|v| v * 2.0).collect()).collect();
    let rows = Rows { x: featurized, ..class_rows(false) };
    let mut spec = head_spec();
    spec["program"]["head"]["inputs"] = json!(3);
    let mut trainer = alone(&rows, &spec);
    finish(&mut trainer).unwrap();
    let (head, whole) = (folder("head"), folder("whole"));
    trainer.save_package(&head, &publish("head", &["a", "b", "c"], None)).unwrap();
    let description = trainer.save_package(&whole, &publish("whole", &["a", "b", "c"], Some(&tiny))).unwrap();
    assert_eq!(description.inputs[0].shape, [4], "the featurizer's own input");
    let same = |name: &str| std::fs::read(tiny.join(name)).unwrap() == std::fs::read(whole.join(name)).unwrap();
    assert!(same("model.pt"));
    // tiny's own labels are not these: the head's are under another name.
    assert!(!whole.join("labels.txt").exists() && tiny.join("labels.txt").exists());
    assert_eq!(std::fs::read_to_string(whole.join("fitted_labels.txt")).unwrap(), "a\nb\nc\n");
    let all: Vec<usize> = (0..raw.len()).collect();
    let raw = Rows { x: raw, ..rows.clone() };
    let by_whole = evaluate(&whole, raw.batch(&all).column(0).clone(), Task::Infer);
    let by_head = evaluate(&head, rows.batch(&all).column(0).clone(), Task::Infer);
    let scores = |result: &ArrayRef| {
        let list = result.as_struct().column(0).clone();
        list.as_list::<i32>().values().as_primitive::<Float32Type>().values().to_vec()
    };
    let (a, b) = (scores(&by_whole), scores(&by_head));
    assert_eq!(a.len(), 3 * 203);
    assert!(a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5));
    let listed = flambeau_engine::package::list("whole", &std::fs::read_to_string(whole.join("model.toml")).unwrap()).unwrap();
    let mut names: Vec<&str> = listed.files.iter().map(|file| file.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["fitted_labels.txt", "head.pt", "model.pt"]);
    std::fs::write(whole.join("head.pt"), "else").unwrap();
    let error = registry::open(&whole, &ModelOptions { precision: Precision::Fastest, ..ModelOptions::plain() }).unwrap_err();
    assert!(error.to_string().contains("head.pt was altered"), "{error}");
    let noop = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/test-packages/noop");
    let error = trainer.save_package(&folder("p"), &publish("whole", &[], Some(&noop))).unwrap_err();
    assert!(error.to_string().contains("gives 16 features, the head takes 3"), "{error}");
}

/// Red and blue pictures of 12 x 12 as PNG, with some noise.
fn pictures(count: usize) -> (Vec<Vec<u8>>, Vec<f64>) {
    let one = |i: usize| {
        let is_blue = i % 2 == 1;
        let picture = image::RgbImage::from_fn(12, 12, |x, y| {
            let noise = ((x * 7 + y * 13 + i as u32 * 29) % 90) as u8;
            if is_blue { image::Rgb([noise, noise, 200]) } else { image::Rgb([200, noise, noise]) }
        });
        let mut bytes = Vec::new();
        picture.write_to(&mut Cursor::new(&mut bytes), image::ImageFormat::Png).unwrap();
        (bytes, f64::from(u8::from(is_blue)))
    };
    (0..count).map(one).unzip()
}

fn picture_batch(bytes: &[Vec<u8>], labels: &[f64]) -> StructArray {
    crate::support::struct_of(vec![
        ("content", Arc::new(BinaryArray::from_iter_values(bytes))),
        ("__label", Arc::new(Float64Array::from(labels.to_vec()))),
    ])
}

fn picture_dataset(bytes: &[Vec<u8>], labels: &[f64]) -> Arc<TrainingDataset> {
    picture_dataset_in(&folder("dataset"), bytes, labels)
}

fn picture_dataset_in(directory: &Path, bytes: &[Vec<u8>], labels: &[f64]) -> Arc<TrainingDataset> {
    let spec = whole::dataset(&json!({"directory": directory}));
    let dataset = TrainingDataset::create(spec, picture_batch(&bytes[..1], &labels[..1]).fields().clone()).unwrap();
    for (bytes, labels) in bytes.chunks(7).zip(labels.chunks(7)) {
        dataset.add(&picture_batch(bytes, labels)).unwrap();
    }
    dataset.finish().unwrap();
    Arc::new(dataset)
}

fn picture_spec() -> serde_json::Value {
    json!({
        "program": {"package": reference().1.join("image_net")}, "inputs": ["content"], "loss": "cross_entropy",
        "optimizer": {"name": "adam", "lr": 0.02}, "batch_rows": 16, "epochs": 6, "seed": 4,
        "augment": {"flip": true, "shift": 1, "color_jitter": 0.1},
    })
}

#[test]
fn a_network_learns_from_encoded_pictures_and_stays_a_package() {
    let (bytes, labels) = pictures(60);
    let mut trainer = open(&picture_dataset(&bytes, &labels), &Arc::new(ProcessGroup::alone()), &picture_spec()).unwrap();
    let progress = finish(&mut trainer).unwrap();
    let losses: Vec<f64> = progress.ended.iter().map(|row| row.train_loss.unwrap()).collect();
    assert!(losses[5] < 0.5 * losses[0], "{losses:?}");
    let directory = folder("package");
    trainer.save_package(&directory, &publish("colors", &["red", "blue"], None)).unwrap();
    let result = evaluate(&directory, Arc::new(BinaryArray::from_iter_values(&bytes)), Task::Classify);
    for (i, label) in labels.iter().enumerate() {
        assert_eq!(f64::from(best_class(&result, i).1), *label, "row {i}");
    }
    // The result can be trained further.
    let mut spec = picture_spec();
    spec["program"]["package"] = json!(directory);
    let mut further = open(&picture_dataset(&bytes, &labels), &Arc::new(ProcessGroup::alone()), &spec).unwrap();
    assert!(finish(&mut further).unwrap().ended[0].train_loss.unwrap() < losses[5] + 0.1);
}

#[test]
fn augmented_pictures_are_the_same_in_every_run() {
    let (bytes, labels) = pictures(40);
    let run = || {
        let mut trainer = open(&picture_dataset(&bytes, &labels), &Arc::new(ProcessGroup::alone()), &picture_spec()).unwrap();
        finish(&mut trainer).unwrap();
        parameters(&trainer)
    };
    assert!(difference(&run(), &run()) <= 1e-6);
}

#[test]
fn pictures_that_are_read_back_from_disk_give_the_model_that_prepared_ones_do() {
    let (bytes, labels) = pictures(40);
    let directory = folder("dataset");
    let kept = || {
        let files = std::fs::read_dir(&directory).unwrap().map(Result::unwrap);
        let pictures = files.filter(|file| file.file_name().to_string_lossy().starts_with("pictures-"));
        pictures.map(|file| file.metadata().unwrap().len()).collect::<Vec<_>>()
    };
    let spec = |epochs: usize| {
        let mut spec = picture_spec();
        spec["epochs"] = json!(epochs);
        spec
    };
    let dataset = picture_dataset_in(&directory, &bytes, &labels);
    let mut trainer = open(&dataset, &Arc::new(ProcessGroup::alone()), &spec(3)).unwrap();
    finish(&mut trainer).unwrap();
    let expected = parameters(&trainer);
    let sizes = kept();
    assert!(matches!(sizes[..], [size] if size > 0 && size % 40 == 0), "one file of all rows: {sizes:?}");
    drop((trainer, dataset));
    assert_eq!(kept(), [0; 0], "the file goes with the dataset");
    // Each epoch over a new dataset, without prepared pictures.
    let checkpoint = directory.join("checkpoint");
    for epoch in 1..=3 {
        let mut trainer = open(&picture_dataset(&bytes, &labels), &Arc::new(ProcessGroup::alone()), &spec(epoch)).unwrap();
        if epoch > 1 {
            trainer.restore_checkpoint(&checkpoint).unwrap();
        }
        finish(&mut trainer).unwrap();
        trainer.save_checkpoint(&checkpoint).unwrap();
        if epoch == 3 {
            assert_eq!(difference(&expected, &parameters(&trainer)).to_bits(), 0);
        }
    }
}

#[test]
fn a_picture_that_does_not_decode_names_its_row() {
    let (mut bytes, labels) = pictures(20);
    bytes[13] = b"not a picture".to_vec();
    let error =
        finish(&mut open(&picture_dataset(&bytes, &labels), &Arc::new(ProcessGroup::alone()), &picture_spec()).unwrap()).unwrap_err();
    assert_eq!(error.kind(), "bad_input");
    assert_eq!(error.row(), Some(13), "{error}");
}

#[test]
fn frozen_layers_stay_as_they_are() {
    let (bytes, labels) = pictures(20);
    let mut spec = picture_spec();
    spec["program"]["frozen"] = json!(["stem", "body.*"]);
    let mut trainer = open(&picture_dataset(&bytes, &labels), &Arc::new(ProcessGroup::alone()), &spec).unwrap();
    let before: Parameters = parameters(&trainer);
    finish(&mut trainer).unwrap();
    for (name, values) in parameters(&trainer) {
        assert_eq!(values == before[&name], !name.starts_with("classifier"), "{name}");
    }
}

#[test]
fn packages_for_inference_are_not_trained() {
    let tiny = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../build/test-packages/tiny");
    let rows = Rows { x: vec![vec![0.0; 4]; 4], labels: vec![0.0; 4], ..Rows::default() };
    let spec = json!({"program": {"package": tiny}, "inputs": ["x"], "loss": "cross_entropy",
        "optimizer": {"name": "sgd", "lr": 0.1}, "batch_rows": 2, "epochs": 1, "seed": 0});
    let dataset = rows.dataset(&[0, 1, 2, 3], &rows.dense());
    let error = open(&dataset, &Arc::new(ProcessGroup::alone()), &spec).err().unwrap();
    assert_eq!(error.kind(), "bad_model");
    assert!(error.to_string().contains("flambeau.export.trainable"), "{error}");
    assert!(floats(&json!([1.0]))[0] > 0.0);
}

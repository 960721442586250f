//! Programs compiled ahead of time: the same results as TorchScript, from many threads at once; other machines and files.
#![allow(missing_docs, clippy::disallowed_methods, clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::Float32Type;
use arrow_array::{Array, ListArray, StructArray};
use arrow_schema::{Field, Fields};
use flambeau_engine::{Counters, EngineName, Model, ModelOptions, Request, Session, Task, allow_machine_code, registry};
use flambeau_torch_ext::{AotModule, Archive, ScriptModule};
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};

const CODE: &str = "model-aot-f32.pt2";

/// The package `compiled` of `./gradlew testModels`.
fn package() -> PathBuf {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../build/test-packages/compiled");
    assert!(path.is_dir(), "{} is missing: run ./gradlew testModels", path.display());
    path
}

/// A folder of this test's own, empty.
fn folder(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    folder
}

fn compiled(path: &Path, name: &str) -> Result<AotModule, String> {
    let place = folder(name);
    let loaded = AotModule::load(&Archive::open(path).unwrap(), 8, &place).map_err(|error| error.to_string());
    assert_eq!(fs::read_dir(&place).unwrap().count(), 0, "what was unpacked is gone");
    loaded
}

fn rows(count: i64, first: f64) -> Tensor {
    (Tensor::arange(count * 4, (Kind::Float, Device::Cpu)) * 0.1 + first).view([count, 4])
}

#[test]
fn compiled_code_gives_what_torchscript_gives_for_any_number_of_rows() {
    let whole = package();
    let code = compiled(&whole.join(CODE), "aot-parity").unwrap();
    let script = ScriptModule::load(&Archive::open(&whole.join("model.pt")).unwrap(), None, flambeau_torch_ext::Device::Cpu).unwrap();
    assert_eq!(code.inputs(), script.inputs());
    assert!(code.parameter_bytes() > script.parameter_bytes());
    for count in [1, 2, 3, 8, 333] {
        let given = &code.forward(&[rows(count, -3.0)]).unwrap().tensors[0];
        let right = &script.forward(&[rows(count, -3.0)]).unwrap().tensors[0];
        assert_eq!(given.size(), right.size());
        assert!(given.allclose(right, 1e-5, 1e-4, false), "{count} rows");
    }
    let transposed = rows(4, 1.0).transpose(0, 1);
    let right = code.forward(&[transposed.contiguous()]).unwrap();
    assert_eq!(code.forward(&[transposed]).unwrap().tensors[0], right.tensors[0], "a batch in another layout");
}

#[test]
fn threads_share_the_code_and_get_their_own_results() {
    let code = compiled(&package().join(CODE), "aot-threads").unwrap();
    let inputs: Vec<f64> = (0..8).map(|i| f64::from(i) - 4.0).collect();
    let alone: Vec<Tensor> = inputs.iter().map(|x| code.forward(&[rows(16, *x)]).unwrap().tensors.remove(0)).collect();
    std::thread::scope(|scope| {
        for (x, right) in inputs.iter().zip(&alone) {
            let (code, right) = (&code, right.shallow_clone());
            scope.spawn(move || {
                for _ in 0..50 {
                    assert_eq!(code.forward(&[rows(16, *x)]).unwrap().tensors[0], right);
                }
            });
        }
    });
}

#[test]
fn batches_that_the_code_was_not_compiled_for_are_errors() {
    let code = compiled(&package().join(CODE), "aot-batches").unwrap();
    for (given, named) in [
        (vec![rows(2, 0.0).narrow(1, 0, 3)], "tensor 0 is Float [2, 3]"),
        (vec![rows(2, 0.0).to_kind(Kind::Double)], "tensor 0 is Double [2, 4]"),
        (vec![], "takes 1 tensors, not 0"),
    ] {
        let error = code.forward(&given).unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

#[test]
fn files_that_hold_no_code_are_errors() {
    let whole = package();
    let script = compiled(&whole.join("model.pt"), "aot-script").unwrap_err();
    assert!(script.contains("does not say what the program takes"), "{script}");
    let place = folder("aot-damaged");
    let bytes = fs::read(whole.join(CODE)).unwrap();
    let elf = bytes.windows(4).position(|four| four == b"\x7fELF").expect("the library is stored as it is");
    let mut cut = bytes.clone();
    cut[elf..elf + 64].fill(0);
    for (name, content) in [("cut.pt2", &bytes[..bytes.len() / 2]), ("empty.pt2", &[][..]), ("no-library.pt2", &cut)] {
        fs::write(place.join(name), content).unwrap();
        compiled(&place.join(name), "aot-damaged-place").unwrap_err();
    }
}

/// A copy of the package `compiled` with one text of its manifest replaced.
fn changed(name: &str, old: &str, new: &str) -> PathBuf {
    let copy = folder(name);
    for entry in fs::read_dir(package()).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.join(entry.file_name())).unwrap();
    }
    let manifest = fs::read_to_string(copy.join("model.toml")).unwrap();
    assert!(manifest.contains(old), "{manifest}");
    fs::write(copy.join("model.toml"), manifest.replacen(old, new, 1)).unwrap();
    copy
}

fn open(package: &Path, engine: &str) -> Result<Arc<Model>, String> {
    allow_machine_code(true);
    let options = ModelOptions { engine: serde_json::from_value(engine.into()).unwrap(), ..ModelOptions::plain() };
    registry::open(package, &options).map_err(|error| error.to_string())
}

fn features(model: &Arc<Model>) -> Vec<f32> {
    let rows = (0..5).map(|i| Some(vec![Some(i as f32 - 2.0); 4]));
    let column = ListArray::from_iter_primitive::<Float32Type, _, _>(rows);
    let fields = Fields::from(vec![Field::new("x", column.data_type().clone(), true)]);
    let session = Session::new(model.clone(), fields.clone(), Request::one(Task::Featurize, 0, false)).unwrap();
    let batch = StructArray::new(fields, vec![Arc::new(column)], None);
    let result = session.evaluate(&batch, &mut Counters::default()).unwrap();
    let rows = result.column(0).as_list::<i32>().clone();
    rows.values().as_primitive::<Float32Type>().values().to_vec()
}

#[test]
fn a_machine_that_cannot_run_the_code_falls_back_to_torchscript() {
    let whole = package();
    let (code, script) = (open(&whole, "aot").unwrap(), open(&whole, "torchscript").unwrap());
    assert_eq!((code.engine(), script.engine()), (EngineName::Aot, EngineName::Torchscript));
    let right = features(&script);
    assert!(features(&code).iter().zip(&right).all(|(a, b)| (a - b).abs() < 1e-5));
    for (name, old, new) in
        [("aot-feature", "requires = [", "requires = [\"no_such_feature\", "), ("aot-version", "libtorch = \"", "libtorch = \"1.")]
    {
        let elsewhere = open(&changed(name, old, new), "aot").unwrap();
        assert_ne!(elsewhere.engine(), EngineName::Aot, "{name}");
        assert!(features(&elsewhere).iter().zip(&right).all(|(a, b)| (a - b).abs() < 1e-5));
    }
    assert!(open(&whole, "auto").is_ok());
}

#[test]
fn code_that_the_system_cannot_open_gives_way_to_torchscript() {
    let bytes = fs::read(package().join(CODE)).unwrap();
    let elf = bytes.windows(4).position(|four| four == b"\x7fELF").unwrap();
    let mut damaged = bytes.clone();
    damaged[elf..elf + 64].fill(0);
    let copy = changed("aot-unopenable", &sha256(&bytes), &sha256(&damaged));
    fs::write(copy.join(CODE), &damaged).unwrap();
    for engine in ["aot", "auto"] {
        let model = open(&copy, engine).unwrap();
        assert_ne!(model.engine(), EngineName::Aot, "{engine}");
        assert_eq!(features(&model).len(), 5 * 3);
    }
}

fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

#[test]
fn code_that_was_altered_or_is_not_described_is_refused() {
    let altered = changed("aot-altered", "format = 1", "format = 1 ");
    let mut bytes = fs::read(altered.join(CODE)).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(altered.join(CODE), bytes).unwrap();
    let error = open(&altered, "aot").unwrap_err();
    assert!(error.contains("was altered"), "{error}");
    let vague = changed("aot-vague", "libtorch = ", "# ");
    let error = open(&vague, "torchscript").unwrap_err();
    assert!(error.contains("needs libtorch and requires"), "{error}");
}

//! The result as a complete model package: `model.toml`, the program, labels and other files for its inputs.
//!
//! A trained program keeps its package's inputs and outputs. A head becomes a package with one tensor input. With a featurizer,
//! the package has the featurizer's inputs and its program, followed by the head's. The featurizer's files are unchanged and keep
//! their names. Its program is a hard link if possible: a fit of many heads does not write or send it for each head. The folder
//! is opened as a package before it is returned, so mistakes are errors here. (If a clip is longer than its featurizer's window,
//! each window is scored and the scores are pooled; training used pooled features.)

use std::path::{Path, PathBuf};

use flambeau_engine::EngineError;
use flambeau_engine::package::{self, Description, Package, Role};
use serde::Deserialize;
use toml::{Table, Value};

use super::spec::LossKind;
use super::state::TrainState;

const PROGRAM: &str = "model.pt";
const HEAD: &str = "head.pt";
const LABELS: &str = "labels.txt";

/// The package's description.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExportSpec {
    /// The model's name.
    pub name: String,
    /// Names of the classes.
    pub labels: Option<Vec<String>>,
    /// SPDX expression.
    pub license: String,
    /// One line for people.
    pub description: String,
    /// Folder of the package whose features the head takes.
    pub featurizer: Option<PathBuf>,
}

/// Writes a package into `directory`, which must be new or empty, and returns its description.
pub(super) fn save_package(state: &TrainState, directory: &Path, spec: &ExportSpec) -> Result<Description, EngineError> {
    let fail = |cause: String| EngineError::BadRequest(format!("the package cannot be written to {}: {cause}", directory.display()));
    std::fs::create_dir_all(directory).map_err(|error| fail(error.to_string()))?;
    if std::fs::read_dir(directory).map_err(|error| fail(error.to_string()))?.next().is_some() {
        return Err(fail("the folder is not empty".into()));
    }
    let featurizer = spec.featurizer.as_deref().map(Package::open).transpose()?;
    let (mut manifest, variant) = match (&state.program.package, &featurizer) {
        (Some(_), Some(_)) => return Err(EngineError::BadRequest("only heads can have a featurizer".into())),
        (Some(package), None) => {
            (of_program(package, directory).map_err(fail)?, variant(PROGRAM, &save_program(state, PROGRAM, directory)?))
        }
        (None, None) => (of_head(state), variant(PROGRAM, &save_program(state, PROGRAM, directory)?)),
        (None, Some(featurizer)) => attach_head(state, featurizer, directory)?,
    };
    describe_output(state, &mut manifest, spec, featurizer.as_ref(), directory).map_err(fail)?;
    manifest.insert("format".into(), Value::Integer(1));
    manifest.insert("name".into(), spec.name.clone().into());
    manifest.insert("license".into(), spec.license.clone().into());
    manifest.insert("description".into(), spec.description.clone().into());
    manifest.insert("variant".into(), Value::Array(vec![variant.into()]));
    let text = toml::to_string(&manifest).map_err(|error| fail(error.to_string()))?;
    std::fs::write(directory.join("model.toml"), text).map_err(|error| fail(error.to_string()))?;
    Ok(Package::open(directory)?.describe())
}

/// Writes the trained program; returns its SHA-256.
fn save_program(state: &TrainState, file: &str, directory: &Path) -> Result<String, EngineError> {
    let path = directory.join(file);
    state.program.script.save(&path).map_err(|error| EngineError::torch(&state.program.name, error))?;
    package::hash(&path).map_err(|error| EngineError::BadRequest(format!("{} cannot be read: {error}", path.display())))
}

/// The manifest of a bare head.
fn of_head(state: &TrainState) -> Table {
    let inputs = state.spec.program.head.as_ref().map_or(0, |head| head.inputs);
    let mut input = Table::new();
    input.insert("name".into(), "features".into());
    input.insert("kind".into(), "tensor".into());
    input.insert("shape".into(), integers(&[inputs]));
    let mut manifest = Table::new();
    manifest.insert("trainable".into(), true.into());
    manifest.insert("input".into(), Value::Array(vec![input.into()]));
    manifest.insert("output".into(), Value::Array(vec![output_of_head(state).into()]));
    manifest
}

fn output_of_head(state: &TrainState) -> Table {
    let (name, role, activation) = match state.spec.loss {
        LossKind::CrossEntropy => ("scores", "scores", Some("softmax")),
        LossKind::Bce => ("scores", "scores", Some("sigmoid")),
        LossKind::Mse | LossKind::Mae | LossKind::Huber | LossKind::Contrastive => ("prediction", "other", None),
    };
    let mut output = Table::new();
    output.insert("name".into(), name.into());
    output.insert("role".into(), role.into());
    output.insert("shape".into(), integers(&[state.program.outputs]));
    if let Some(activation) = activation {
        output.insert("activation".into(), activation.into());
    }
    output
}

/// Writes the head, and the files of its featurizer that it needs; returns the manifest and its variant.
fn attach_head(state: &TrainState, featurizer: &Package, directory: &Path) -> Result<(Table, Table), EngineError> {
    let name = &featurizer.descriptor.name;
    let refuse = |cause: String| EngineError::model(name, cause);
    let outputs = &featurizer.descriptor.outputs;
    let index =
        outputs.iter().position(|o| o.role == Role::Features).ok_or_else(|| refuse("it has no output with role 'features'".into()))?;
    let inputs = state.spec.program.head.as_ref().map_or(0, |head| head.inputs);
    if outputs[index].row_len() != inputs {
        return Err(refuse(format!("it gives {} features, the head takes {inputs}", outputs[index].row_len())));
    }
    let front = featurizer.plain_variant().ok_or_else(|| refuse("it has no f32 TorchScript variant to build on".into()))?;
    let file = free_name(HEAD, featurizer);
    let mut head = Table::new();
    head.insert("sha256".into(), save_program(state, &file, directory)?.into());
    head.insert("file".into(), file.into());
    head.insert("reads".into(), outputs[index].name.clone().into());
    head.insert("index".into(), integer(index));
    let mut variant = variant(&front.file, &front.sha256);
    variant.insert("requires".into(), front.requires.clone().into());
    variant.insert("head".into(), head.into());
    link(&featurizer.directory.join(&front.file), &directory.join(&front.file)).map_err(|error| refuse(error.to_string()))?;
    let source = featurizer.manifest()?;
    let mut manifest = Table::new();
    for key in ["batch_rows", "input"] {
        if let Some(value) = source.get(key) {
            manifest.insert(key.into(), value.clone());
        }
    }
    let tokenizers = featurizer.descriptor.inputs.iter().filter_map(|input| input.text.as_ref()).map(|text| text.tokenizer.clone());
    copy_files(featurizer, directory, tokenizers, &mut manifest).map_err(refuse)?;
    manifest.insert("output".into(), Value::Array(vec![output_of_head(state).into()]));
    Ok((manifest, variant))
}

/// Names the classes of the output that was trained.
fn describe_output(
    state: &TrainState,
    manifest: &mut Table,
    spec: &ExportSpec,
    featurizer: Option<&Package>,
    directory: &Path,
) -> Result<(), String> {
    let Some(labels) = &spec.labels else { return Ok(()) };
    let outputs = state.program.outputs;
    if labels.len() != outputs {
        return Err(format!("{} labels for {outputs} outputs", labels.len()));
    }
    if labels.iter().any(|label| label.contains(['\n', '\r'])) {
        return Err("a label holds a line break".into());
    }
    let output = manifest.get_mut("output").and_then(Value::as_array_mut).and_then(|all| all.get_mut(state.program.output));
    let output = output.and_then(Value::as_table_mut).ok_or("there is no output to label")?;
    let file = featurizer.map_or(LABELS.to_owned(), |featurizer| free_name(LABELS, featurizer));
    output.insert("labels".into(), file.clone().into());
    let path = directory.join(&file);
    std::fs::write(&path, labels.join("\n") + "\n").map_err(|error| error.to_string())?;
    add_file(manifest, &file, &path)
}

/// The manifest of a trained program: that of its package, with its other files.
fn of_program(package: &Package, directory: &Path) -> Result<Table, String> {
    let mut manifest = package.manifest().map_err(|error| error.to_string())?;
    manifest.remove("files");
    let files: Vec<String> = package.descriptor.files.keys().cloned().collect();
    copy_files(package, directory, files.into_iter(), &mut manifest)?;
    Ok(manifest)
}

fn copy_files(package: &Package, directory: &Path, names: impl Iterator<Item = String>, manifest: &mut Table) -> Result<(), String> {
    for name in names {
        let target = directory.join(&name);
        std::fs::copy(package.directory.join(&name), &target).map_err(|error| format!("{name}: {error}"))?;
        add_file(manifest, &name, &target)?;
    }
    Ok(())
}

/// A hard link, or a copy if that is not possible.
fn link(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::hard_link(from, to).or_else(|_| std::fs::copy(from, to).map(drop))
}

/// `wanted`, changed until it is not the name of one of the featurizer's files.
fn free_name(wanted: &str, featurizer: &Package) -> String {
    let descriptor = &featurizer.descriptor;
    let mut name = wanted.to_owned();
    while descriptor.files.contains_key(&name) || descriptor.variants.iter().any(|v| v.file == name) {
        name = format!("fitted_{name}");
    }
    name
}

/// The manifest's keys for a program.
fn variant(file: &str, sha256: &str) -> Table {
    let keys = [("file", file), ("engine", "torchscript"), ("precision", "f32"), ("sha256", sha256)];
    keys.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect()
}

fn add_file(manifest: &mut Table, name: &str, path: &Path) -> Result<(), String> {
    let sha256 = package::hash(path).map_err(|error| format!("{name}: {error}"))?;
    let files = manifest.entry("files").or_insert_with(|| Table::new().into());
    files.as_table_mut().ok_or("[files] is no table")?.insert(name.into(), sha256.into());
    Ok(())
}

fn integer(number: usize) -> Value {
    Value::Integer(i64::try_from(number).unwrap_or(i64::MAX))
}

fn integers(numbers: &[usize]) -> Value {
    Value::Array(numbers.iter().copied().map(integer).collect())
}

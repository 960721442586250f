//! The result as a model package, complete: `model.toml`, the program, labels and what else its inputs need.
//!
//! A trained program keeps its package's inputs and outputs. A head becomes a package of one tensor input; with a featurizer,
//! one program that runs the featurizer and the head, with the featurizer's inputs. The folder is opened as a package before
//! it is handed out, so what cannot be loaded is an error here. (Of a clip that is longer than its featurizer's window, each
//! window is scored and the scores are pooled, where training saw pooled features.)

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value as Json;
use toml::{Table, Value};

use super::spec::LossKind;
use super::trainer::Trainer;
use crate::package::{Package, Role, check};
use crate::{EngineError, error};

const PROGRAM: &str = "model.pt";
const LABELS: &str = "labels.txt";

/// What the package is to say.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PublishSpec {
    /// What the model is called.
    pub name: String,
    /// Names of the classes.
    #[serde(default)]
    pub labels: Option<Vec<String>>,
    /// SPDX expression; `NOASSERTION` unless given.
    #[serde(default)]
    pub license: Option<String>,
    /// One line for people.
    #[serde(default)]
    pub description: Option<String>,
    /// Folder of the package that goes in front of a head.
    #[serde(default)]
    pub featurizer: Option<PathBuf>,
}

impl Trainer {
    /// Writes a package into `directory`, which must be new or empty, and gives its description.
    ///
    /// # Errors
    /// Labels that do not fit, a featurizer that does not fit the head, or files that cannot be written.
    pub fn save_package(&self, directory: &Path, spec: &PublishSpec) -> Result<Json, EngineError> {
        let fail = |cause: String| EngineError::BadRequest(format!("the package cannot be written to {}: {cause}", directory.display()));
        std::fs::create_dir_all(directory).map_err(|error| fail(error.to_string()))?;
        if std::fs::read_dir(directory).map_err(|error| fail(error.to_string()))?.next().is_some() {
            return Err(fail("the folder is not empty".into()));
        }
        let program = directory.join(PROGRAM);
        let torch = |error| EngineError::torch(&self.program.name, error);
        let mut manifest = match (&self.program.package, &spec.featurizer) {
            (Some(_), Some(_)) => return Err(EngineError::BadRequest("a featurizer goes in front of heads only".into())),
            (Some(package), None) => {
                self.program.script.save(&program).map_err(torch)?;
                of_program(package, directory).map_err(fail)?
            }
            (None, None) => {
                self.program.script.save(&program).map_err(torch)?;
                self.of_head()
            }
            (None, Some(featurizer)) => self.behind(&Package::open(featurizer)?, directory)?,
        };
        self.describe_output(&mut manifest, spec, directory).map_err(fail)?;
        manifest.insert("format".into(), Value::Integer(1));
        manifest.insert("name".into(), spec.name.clone().into());
        manifest.insert("license".into(), spec.license.clone().unwrap_or_else(|| "NOASSERTION".into()).into());
        manifest.insert("description".into(), spec.description.clone().unwrap_or_default().into());
        let sha256 = check::hash(&program).map_err(|error| fail(error.to_string()))?;
        let variant = [("file", PROGRAM), ("engine", "torchscript"), ("precision", "f32"), ("sha256", &sha256)];
        let variant: Table = variant.into_iter().map(|(key, value)| (key.to_owned(), value.into())).collect();
        manifest.insert("variant".into(), Value::Array(vec![variant.into()]));
        let text = toml::to_string(&manifest).map_err(|error| fail(error.to_string()))?;
        std::fs::write(directory.join("model.toml"), text).map_err(|error| fail(error.to_string()))?;
        Ok(Package::open(directory)?.describe())
    }

    /// The manifest of a bare head.
    fn of_head(&self) -> Table {
        let inputs = self.spec.program.head.as_ref().map_or(0, |head| head.inputs);
        let mut input = Table::new();
        input.insert("name".into(), "features".into());
        input.insert("kind".into(), "tensor".into());
        input.insert("shape".into(), integers(&[inputs]));
        let mut manifest = Table::new();
        manifest.insert("trainable".into(), true.into());
        manifest.insert("input".into(), Value::Array(vec![input.into()]));
        manifest.insert("output".into(), Value::Array(vec![self.output_of_head().into()]));
        manifest
    }

    fn output_of_head(&self) -> Table {
        let (name, role, activation) = match self.spec.loss {
            LossKind::CrossEntropy => ("scores", "scores", Some("softmax")),
            LossKind::Bce => ("scores", "scores", Some("sigmoid")),
            LossKind::Mse | LossKind::Mae | LossKind::Huber => ("prediction", "other", None),
        };
        let mut output = Table::new();
        output.insert("name".into(), name.into());
        output.insert("role".into(), role.into());
        output.insert("shape".into(), integers(&[self.program.outputs]));
        if let Some(activation) = activation {
            output.insert("activation".into(), activation.into());
        }
        output
    }

    /// Writes featurizer and head as one program; gives its manifest.
    fn behind(&self, featurizer: &Package, directory: &Path) -> Result<Table, EngineError> {
        let name = &featurizer.descriptor.name;
        let refuse = |cause: String| EngineError::model(name, cause);
        let outputs = &featurizer.descriptor.outputs;
        let index =
            outputs.iter().position(|o| o.role == Role::Features).ok_or_else(|| refuse("it has no output with role 'features'".into()))?;
        let inputs = self.spec.program.head.as_ref().map_or(0, |head| head.inputs);
        if outputs[index].row_len() != inputs {
            return Err(refuse(format!("it gives {} features, the head takes {inputs}", outputs[index].row_len())));
        }
        let variant = featurizer.plain_variant().ok_or_else(|| refuse("it has no f32 TorchScript variant to build on".into()))?;
        let path = featurizer.program(variant)?;
        self.program
            .script
            .save_behind(&path, index, &outputs[index].name, &directory.join(PROGRAM))
            .map_err(|error| refuse(format!("{} cannot be joined with the head: {}", variant.file, error::text_of(error))))?;
        let source = featurizer.manifest()?;
        let mut manifest = Table::new();
        for key in ["batch_rows", "input"] {
            if let Some(value) = source.get(key) {
                manifest.insert(key.into(), value.clone());
            }
        }
        let tokenizers = featurizer.descriptor.inputs.iter().filter_map(|input| input.text.as_ref()).map(|text| text.tokenizer.clone());
        copy_files(featurizer, directory, tokenizers, &mut manifest).map_err(refuse)?;
        manifest.insert("output".into(), Value::Array(vec![self.output_of_head().into()]));
        Ok(manifest)
    }

    /// Names the classes of the output that was trained.
    fn describe_output(&self, manifest: &mut Table, spec: &PublishSpec, directory: &Path) -> Result<(), String> {
        let Some(labels) = &spec.labels else { return Ok(()) };
        let outputs = self.program.outputs;
        if labels.len() != outputs {
            return Err(format!("{} labels for {outputs} outputs", labels.len()));
        }
        if labels.iter().any(|label| label.contains(['\n', '\r'])) {
            return Err("a label holds a line break".into());
        }
        let output = manifest.get_mut("output").and_then(Value::as_array_mut).and_then(|all| all.get_mut(self.program.output));
        let output = output.and_then(Value::as_table_mut).ok_or("there is no output to label")?;
        output.insert("labels".into(), LABELS.into());
        let path = directory.join(LABELS);
        std::fs::write(&path, labels.join("\n") + "\n").map_err(|error| error.to_string())?;
        add_file(manifest, LABELS, &path)
    }
}

/// The manifest of a trained program: its package's own, with its other files beside it.
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

fn add_file(manifest: &mut Table, name: &str, path: &Path) -> Result<(), String> {
    let sha256 = check::hash(path).map_err(|error| format!("{name}: {error}"))?;
    let files = manifest.entry("files").or_insert_with(|| Table::new().into());
    files.as_table_mut().ok_or("[files] is no table")?.insert(name.into(), sha256.into());
    Ok(())
}

fn integers(numbers: &[usize]) -> Value {
    Value::Array(numbers.iter().map(|n| Value::Integer(i64::try_from(*n).unwrap_or(i64::MAX))).collect())
}

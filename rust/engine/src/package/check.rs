//! The rules that a package must fulfill besides its grammar.

use std::collections::HashSet;
use std::io::Read;
use std::path::Path;

use flambeau_torch_ext::Archive;
use sha2::{Digest, Sha256};
use toml::de::{DeTable, DeValue};

use super::{Descriptor, Dtype, EngineKind, Input, InputKind, Output, Role, decoding};
use crate::EngineError;

/// The tables of `model.toml`, and its lists of tables.
const TABLES: [&str; 6] = ["image", "text", "audio", "ctc", "boxes", "head"];
const LISTS_OF_TABLES: [&str; 3] = ["input", "output", "variant"];

/// Finds lists where tables must be, and tables where words must be. The reader of TOML takes the values of a list for a table's, in the
/// order in which Rust declares them, and a table with one key for that word.
pub(super) fn layout(table: &DeTable<'_>) -> Result<(), String> {
    for (key, value) in table {
        let key: &str = key.get_ref();
        let inside = |cause: String| format!("{key}: {cause}");
        match value.get_ref() {
            DeValue::Table(inner) if TABLES.contains(&key) => layout(inner).map_err(inside)?,
            _ if TABLES.contains(&key) => return Err(format!("{key} must be a table")),
            DeValue::Array(all) if LISTS_OF_TABLES.contains(&key) => {
                for one in all.iter() {
                    let DeValue::Table(inner) = one.get_ref() else { return Err(format!("{key} must be a list of tables")) };
                    layout(inner).map_err(inside)?;
                }
            }
            // Its values are texts, which the reader of TOML checks.
            DeValue::Table(_) if key == "files" => {}
            DeValue::Table(_) => return Err(format!("{key} must not be a table")),
            DeValue::Array(all) if all.iter().any(|one| matches!(one.get_ref(), DeValue::Table(_))) => {
                return Err(format!("{key} must not have a table in its list"));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Finds contradictions inside `model.toml`.
pub(super) fn structure(descriptor: &Descriptor) -> Result<(), String> {
    if descriptor.format != 1 {
        return Err(format!("format is {}, this version reads 1", descriptor.format));
    }
    if descriptor.name.trim().is_empty() {
        return Err("name is empty".into());
    }
    if descriptor.batch_rows == Some(0) {
        return Err("batch_rows is 0, but a batch has at least one row".into());
    }
    unique("input", descriptor.inputs.iter().map(|i| i.name.as_str()))?;
    unique("output", descriptor.outputs.iter().map(|o| o.name.as_str()))?;
    unique("variant", descriptor.variants.iter().map(|v| v.file.as_str()))?;
    for input in &descriptor.inputs {
        of_input(input).and_then(|()| of_pair(descriptor, input)).map_err(|cause| format!("input '{}': {cause}", input.name))?;
    }
    for output in &descriptor.outputs {
        of_output(descriptor, output).map_err(|cause| format!("output '{}': {cause}", output.name))?;
    }
    if let Some((variant, cosine)) = descriptor.variants.iter().find_map(|v| Some((v, v.cosine.filter(|c| !(-1.0..=1.0).contains(c))?))) {
        return Err(format!("variant '{}': cosine is {cosine}, which is outside -1 to 1", variant.file));
    }
    for variant in descriptor.variants.iter().filter(|variant| variant.engine == EngineKind::AotInductor) {
        if variant.libtorch.is_none() || variant.requires.is_empty() || variant.head.is_some() {
            let text = "is compiled code: it needs libtorch and requires, and cannot have a head; make it with flambeau.export";
            return Err(format!("variant '{}' {text}", variant.file));
        }
    }
    let heads = || descriptor.variants.iter().filter_map(|v| v.head.as_ref());
    if let Some(head) = heads().find(|head| head.reads.contains(['"', '\\', '\n'])) {
        return Err(format!("head.reads is {:?}, which is not the name of an output", head.reads));
    }
    let names = descriptor.files.keys().chain(descriptor.variants.iter().map(|v| &v.file)).chain(heads().map(|head| &head.file));
    for name in names {
        if name.is_empty() || name.starts_with('.') || name.contains(['/', '\\', '\0']) {
            return Err(format!("'{name}' is not the name of a file in the package's folder"));
        }
    }
    Ok(())
}

fn unique<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Result<(), String> {
    let mut seen = HashSet::new();
    for name in names {
        if !seen.insert(name) {
            return Err(format!("two {what}s are called '{name}'"));
        }
    }
    if seen.is_empty() { Err(format!("there is no [[{what}]]")) } else { Ok(()) }
}

fn of_input(input: &Input) -> Result<(), String> {
    of_shape(&input.shape)?;
    let tables = [
        (InputKind::Image, input.image.is_some(), "image"),
        (InputKind::Text, input.text.is_some(), "text"),
        (InputKind::Audio, input.audio.is_some(), "audio"),
    ];
    for (kind, present, name) in tables {
        if present != (input.kind == kind) {
            let verb = if present { "must not have" } else { "needs" };
            return Err(format!("an input of kind {} {verb} a table [input.{name}]", format!("{:?}", input.kind).to_lowercase()));
        }
    }
    if input.min.is_some() || input.max.is_some() {
        of_range(input)?;
    }
    if let Some(spec) = &input.image {
        spec.validate()?;
    }
    if let Some(spec) = &input.text {
        spec.validate().map_err(|error| error.to_string())?;
    }
    if let Some(spec) = &input.audio {
        spec.validate().map_err(|error| error.to_string())?;
    }
    Ok(())
}

/// The second text of a pair follows the first, and is the only one that names it.
fn of_pair(descriptor: &Descriptor, input: &Input) -> Result<(), String> {
    let Some(spec) = &input.text else { return Ok(()) };
    let seconds = |name: &str| {
        let pairs = descriptor.inputs.iter().filter_map(|other| other.text.as_ref()?.pair_of.as_deref());
        pairs.filter(|first| *first == name).count()
    };
    if let Some(first) = &spec.pair_of {
        let before = descriptor.inputs.iter().take_while(|other| other.name != input.name);
        let is_first = |other: &Input| other.name == *first && other.text.as_ref().is_some_and(|text| text.pair_of.is_none());
        if !before.into_iter().any(is_first) {
            return Err(format!("pair_of = '{first}' does not name a text input before it"));
        }
        if seconds(first) > 1 {
            return Err(format!("pair_of = '{first}' is the second text of '{first}', which has another one"));
        }
    } else if spec.truncation.is_some() && seconds(&input.name) == 0 {
        return Err("truncation is for pairs of texts: no input has pair_of with this one's name".into());
    }
    Ok(())
}

/// The number of a row's values must not overflow, and its memory must be possible to allocate.
fn of_shape(shape: &[usize]) -> Result<(), String> {
    let values = shape.iter().try_fold(1_usize, |all, n| all.checked_mul(*n)).filter(|n| i32::try_from(*n).is_ok());
    values.map(drop).ok_or_else(|| format!("the shape is {shape:?}, but a row has less than 2^31 values"))
}

fn of_range(input: &Input) -> Result<(), String> {
    let is_whole = matches!(input.dtype, Dtype::I64 | Dtype::I32 | Dtype::I16 | Dtype::I8 | Dtype::U8);
    if input.kind != InputKind::Tensor || !is_whole {
        return Err("min and max are for tensors of whole numbers (i64, i32, i16, i8, u8)".into());
    }
    match (input.min, input.max) {
        (Some(min), Some(max)) if min > max => Err(format!("min is {min}, which is above max, {max}")),
        _ => Ok(()),
    }
}

fn of_output(descriptor: &Descriptor, output: &Output) -> Result<(), String> {
    of_shape(&output.shape)?;
    if let Some(name) = &output.lengths {
        of_lengths(descriptor, output, name)?;
    }
    if matches!(output.role, Role::Scores | Role::TokenScores) && output.shape.len() != 1 {
        return Err(format!("scores have one dimension, one score per class; the shape is {:?}", output.shape));
    }
    of_tokens(descriptor, output)?;
    if let Some(file) = &output.labels
        && !descriptor.files.contains_key(file)
    {
        return Err(format!("labels are in '{file}', which [files] does not list"));
    }
    decoding::of_output(descriptor, output)
}

/// Scores of tokens are as many as the row has tokens, of one text or pair.
fn of_tokens(descriptor: &Descriptor, output: &Output) -> Result<(), String> {
    if !matches!(output.role, Role::TokenScores | Role::StartScores | Role::EndScores) {
        return Ok(());
    }
    let role = output.role.name();
    let texts = descriptor.inputs.iter().filter(|input| input.text.as_ref().is_some_and(|text| text.pair_of.is_none())).count();
    if output.lengths.is_none() || texts != 1 {
        return Err(format!("{role} are one for each token of a text: they need lengths, and one input of kind text (or a pair)"));
    }
    if output.role != Role::TokenScores && !output.shape.is_empty() {
        return Err(format!("{role} are one number for each token; the shape is {:?}", output.shape));
    }
    Ok(())
}

/// Rows that differ in length need a count each, and cannot be joined element by element.
fn of_lengths(descriptor: &Descriptor, output: &Output, name: &str) -> Result<(), String> {
    if matches!(output.role, Role::Features | Role::Scores) {
        return Err("rows that differ in length (lengths = …) are not for outputs with the role features or scores".into());
    }
    let whole = |o: &&Output| o.name == name && o.shape.is_empty() && o.lengths.is_none() && matches!(o.dtype, Dtype::I64 | Dtype::I32);
    if !descriptor.outputs.iter().any(|o| whole(&o)) {
        return Err(format!("lengths = '{name}' does not name an output of shape [] and dtype i64 or i32"));
    }
    if descriptor.inputs.iter().any(|input| input.audio.as_ref().is_some_and(|audio| audio.window_samples.is_some())) {
        return Err("lengths cannot be combined with window_samples: results of windows are joined element by element".into());
    }
    Ok(())
}

/// The labels of an output, as many as it has scores.
pub(super) fn labels(descriptor: &Descriptor, output: &Output, directory: &Path) -> Result<Vec<String>, EngineError> {
    let Some(file) = &output.labels else { return Ok(Vec::new()) };
    let fail = |cause: String| EngineError::model(&descriptor.name, cause);
    let bytes = std::fs::read(directory.join(file)).map_err(|error| fail(format!("{file} cannot be read: {error}")))?;
    same(&descriptor.name, file, &format!("{:x}", Sha256::digest(&bytes)), descriptor.files.get(file).map_or("", String::as_str))?;
    let text = String::from_utf8(bytes).map_err(|error| fail(format!("{file} cannot be read: {error}")))?;
    let labels: Vec<String> = text.lines().map(str::to_owned).collect();
    if let Some(classes) = output.classes()
        && labels.len() != classes
    {
        return Err(fail(format!("{file} has {} labels, output '{}' has {classes} scores", labels.len(), output.name)));
    }
    decoding::of_labels(output, &labels).map_err(|cause| fail(format!("output '{}': {cause}", output.name)))?;
    Ok(labels)
}

/// Checks a file of the package against its SHA-256.
pub(super) fn file(model: &str, directory: &Path, name: &str, sha256: &str) -> Result<(), EngineError> {
    let actual = hash(&directory.join(name)).map_err(|error| EngineError::model(model, format!("{name} cannot be read: {error}")))?;
    same(model, name, &actual, sha256)
}

/// Opens a program of the package and checks the open file against its SHA-256.
pub(super) fn program(model: &str, directory: &Path, name: &str, sha256: &str) -> Result<Archive, EngineError> {
    let unreadable = |error: std::io::Error| EngineError::model(model, format!("{name} cannot be read: {error}"));
    let archive = Archive::open(&directory.join(name)).map_err(unreadable)?;
    let actual = hash_of(archive.file()).map_err(unreadable)?;
    same(model, name, &actual, sha256)?;
    Ok(archive)
}

fn same(model: &str, name: &str, actual: &str, sha256: &str) -> Result<(), EngineError> {
    if actual.eq_ignore_ascii_case(sha256) {
        return Ok(());
    }
    Err(EngineError::model(model, format!("{name} was altered: its SHA-256 is {actual}, model.toml says {sha256}")))
}

/// SHA-256 of a file, in hexadecimal.
///
/// # Errors
/// It cannot be read.
pub fn hash(path: &Path) -> std::io::Result<String> {
    hash_of(std::fs::File::open(path)?)
}

fn hash_of(mut file: impl Read) -> std::io::Result<String> {
    let mut digest = Sha256::new();
    let mut buffer = vec![0_u8; 1 << 20];
    loop {
        let n = file.read(&mut buffer)?;
        if n == 0 {
            return Ok(format!("{:x}", digest.finalize()));
        }
        digest.update(&buffer[..n]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_whose_product_overflows_are_refused() {
        for shape in [&[1_usize << 33, 1 << 33][..], &[1 << 62, 4], &[usize::MAX, 2], &[1 << 31]] {
            assert!(of_shape(shape).is_err(), "{shape:?}");
        }
        for shape in [&[][..], &[0], &[1280], &[3, 4000, 4000], &[i32::MAX as usize]] {
            assert_eq!(of_shape(shape), Ok(()), "{shape:?}");
        }
    }
}

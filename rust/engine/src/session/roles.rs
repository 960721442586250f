//! Which outputs of a package a task reads.

use super::Task;
use crate::package::{Output, Role};
use crate::{EngineError, Package};

/// Index and description of the package's first output with this role.
pub(super) fn find<'a>(package: &'a Package, role: Role, function: &str) -> Result<(usize, &'a Output), EngineError> {
    let mut outputs = package.descriptor.outputs.iter().enumerate();
    outputs.find(|(_, output)| output.role == role).ok_or_else(|| {
        let wanted = role.name();
        EngineError::BadRequest(format!("{function} needs an output with role '{wanted}'; model '{}' has none", package.descriptor.name))
    })
}

/// Indices of the outputs that a task reads; none: of all.
///
/// # Errors
/// The package has no output of a role that the task needs, or another input than it needs.
pub(super) fn read(package: &Package, task: Task) -> Result<Option<Vec<usize>>, EngineError> {
    let one = |role, function| find(package, role, function).map(|(index, _)| index);
    let own = match task {
        Task::Infer => return Ok(None),
        Task::Error => Vec::new(),
        Task::Featurize => vec![one(Role::Features, "featurize")?],
        Task::Classify => vec![one(Role::Scores, "classify")?],
        Task::Detect => {
            let needed = [one(Role::Boxes, "detect")?, one(Role::BoxScores, "detect")?];
            needed.into_iter().chain(one(Role::BoxClasses, "detect").ok()).collect()
        }
        Task::Segment => vec![one(Role::PixelScores, "segment")?],
        Task::Transcribe => vec![one(Role::Ctc, "transcribe")?],
        Task::Rerank => vec![rerank(package)?.0],
        Task::Entities => vec![one(Role::TokenScores, "entities")?],
        Task::Answer => {
            let (start, end) = answer(package)?;
            vec![start, end]
        }
    };
    let outputs = &package.descriptor.outputs;
    let lengths = own.iter().filter_map(|index| outputs[*index].lengths.as_ref());
    let counts: Vec<usize> = lengths.filter_map(|name| outputs.iter().position(|output| output.name == *name)).collect();
    Ok(Some([own, counts].concat()))
}

/// Index and description of the one score of a pair of texts.
///
/// # Errors
/// The model has none, or several, or takes no pairs.
pub(super) fn rerank(package: &Package) -> Result<(usize, &Output), EngineError> {
    let (index, output) = find(package, Role::Scores, "rerank")?;
    pairs(package, "rerank")?;
    if output.row_len() != 1 {
        let (name, classes) = (&package.descriptor.name, output.row_len());
        let text = format!("rerank needs one score for a pair; output '{}' of model '{name}' has {classes}", output.name);
        return Err(EngineError::BadRequest(text));
    }
    Ok((index, output))
}

/// Indices of the scores of first and last tokens of an answer.
///
/// # Errors
/// The model lacks one, or takes no pairs.
pub(super) fn answer(package: &Package) -> Result<(usize, usize), EngineError> {
    let (start, _) = find(package, Role::StartScores, "answer")?;
    let (end, _) = find(package, Role::EndScores, "answer")?;
    pairs(package, "answer")?;
    Ok((start, end))
}

/// Fails if the model's inputs are not the two texts of a pair.
fn pairs(package: &Package, function: &str) -> Result<(), EngineError> {
    let inputs = &package.descriptor.inputs;
    if inputs.len() == 2 && package.descriptor.second_of(&inputs[0].name) == Some(1) {
        return Ok(());
    }
    let text = format!("{function} needs a model of pairs of texts; model '{}' takes none", package.descriptor.name);
    Err(EngineError::BadRequest(text))
}

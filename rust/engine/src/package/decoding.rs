//! The rules of outputs that a task decodes: of their tables in the manifest, and of their labels.

use super::{CtcSpec, Output, Role};

/// The rules of an output with this role and of the tables that belong to roles.
pub(super) fn of_output(output: &Output) -> Result<(), String> {
    let is_ctc = output.role == Role::Ctc;
    match &output.ctc {
        Some(_) if !is_ctc => return Err("a table [output.ctc] is for the role ctc".into()),
        None if is_ctc => return Err("the role ctc needs a table [output.ctc]".into()),
        Some(spec) => of_ctc(output, spec)?,
        None => {}
    }
    Ok(())
}

fn of_ctc(output: &Output, spec: &CtcSpec) -> Result<(), String> {
    if output.shape.len() != 1 {
        return Err(format!("a frame has one score per token; the shape is {:?}", output.shape));
    }
    if output.lengths.is_none() || output.labels.is_none() {
        return Err("the role ctc needs lengths (the frames of a row) and labels (the tokens)".into());
    }
    if !spec.frame_seconds.is_finite() || spec.frame_seconds <= 0.0 {
        return Err(format!("ctc: frame_seconds = {} must be above 0", spec.frame_seconds));
    }
    Ok(())
}

/// The rules of an output and the content of its labels' file.
pub(super) fn of_labels(output: &Output, labels: &[String]) -> Result<(), String> {
    let Some(spec) = &output.ctc else { return Ok(()) };
    for (key, token) in [("pad_token", Some(&spec.pad_token)), ("word_delimiter_token", spec.word_delimiter_token.as_ref())] {
        if let Some(token) = token.filter(|token| !labels.contains(token)) {
            return Err(format!("ctc: {key} = {token:?} is not among the labels"));
        }
    }
    Ok(())
}

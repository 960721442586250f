//! The rules of outputs that a task decodes: of their tables in the manifest, and of their labels.

use flambeau_media::image::MOST_CLASSES;

use super::{CtcSpec, Descriptor, Dtype, InputKind, Output, Role};

/// The rules of an output with this role and of the tables that belong to roles.
pub(super) fn of_output(descriptor: &Descriptor, output: &Output) -> Result<(), String> {
    let is_ctc = output.role == Role::Ctc;
    match &output.ctc {
        Some(_) if !is_ctc => return Err("a table [output.ctc] is for the role ctc".into()),
        None if is_ctc => return Err("the role ctc needs a table [output.ctc]".into()),
        Some(spec) => of_ctc(output, spec)?,
        None => {}
    }
    if output.boxes.is_some() != (output.role == Role::Boxes) {
        return Err("the role boxes and a table [output.boxes] belong together".into());
    }
    if output.no_object && output.role != Role::BoxScores {
        return Err("no_object is for the role box_scores".into());
    }
    if output.role == Role::PixelScores {
        return of_pixels(descriptor, output);
    }
    if output.role == Role::Boxes { of_boxes(descriptor, output) } else { Ok(()) }
}

/// The outputs of a detector fit together: as many scores as boxes, and a class for each box.
fn of_boxes(descriptor: &Descriptor, boxes: &Output) -> Result<(), String> {
    if !descriptor.inputs.iter().any(|input| input.kind == InputKind::Image) {
        return Err("boxes are in a picture, but no input is an image".into());
    }
    let counted = boxes.shape_of_boxes();
    if boxes.shape.len() != counted + 1 || boxes.shape.last() != Some(&4) {
        return Err(format!("a box has 4 numbers: the shape is [boxes, 4], or [4] with lengths, not {:?}", boxes.shape));
    }
    let of_role = |role: Role| descriptor.outputs.iter().find(|output| output.role == role);
    let Some(scores) = of_role(Role::BoxScores) else { return Err("boxes need an output with the role box_scores".into()) };
    let classes = of_role(Role::BoxClasses);
    for other in [Some(scores), classes].into_iter().flatten() {
        if other.lengths != boxes.lengths || other.shape.get(..counted) != boxes.shape.get(..counted) {
            return Err(format!("output '{}' does not have as many items as there are boxes", other.name));
        }
    }
    let dimensions = |output: &Output| output.shape.len() - counted;
    match classes {
        None if dimensions(scores) != 1 || scores.classes() == Some(0) => {
            Err(format!("output '{}' needs one score per class, or another output the role box_classes", scores.name))
        }
        Some(_) if dimensions(scores) != 0 || scores.labels.is_some() => {
            Err(format!("output '{}' has one score per box and no labels, since another gives the classes", scores.name))
        }
        Some(classes) if dimensions(classes) != 0 || !matches!(classes.dtype, Dtype::I64 | Dtype::I32) => {
            Err(format!("output '{}' has one whole number per box", classes.name))
        }
        _ => Ok(()),
    }
}

/// A map of scores for each of several classes.
fn of_pixels(descriptor: &Descriptor, output: &Output) -> Result<(), String> {
    if !descriptor.inputs.iter().any(|input| input.kind == InputKind::Image) {
        return Err("pixel_scores are of a picture, but no input is an image".into());
    }
    let is_map = output.shape.len() == 3 && (2..=MOST_CLASSES).contains(&output.shape[0]) && !output.shape.contains(&0);
    if !is_map || output.lengths.is_some() {
        let shape = &output.shape;
        return Err(format!("pixel_scores have the shape [classes, height, width], with 2 to {MOST_CLASSES} classes, not {shape:?}"));
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

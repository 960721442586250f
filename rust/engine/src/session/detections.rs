//! `detect`: boxes and their scores into a list of objects for each picture, with boxes in the pixels of that picture.
//!
//! Each box has its best class. Boxes at or below the threshold are dropped, and the best come first. A box is moved from the prepared
//! image back over crop and resize ([`Placement`]). It is not cut at the picture's edges, as transformers does not cut it.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::{ArrayRef, Float32Array, Int32Array};
use flambeau_media::image::{Placement, Span};
use tch::{Kind, TchError, Tensor};

use super::results::{Context, internal, label, lists, probabilities, structs, texts};
use super::roles::find;
use crate::EngineError;
use crate::package::{Activation, BoxFormat, BoxSpec, BoxUnit, Output, Role};

/// One object: its class, its score, and xmin, ymin, xmax, ymax in pixels of the picture.
#[derive(Debug, Clone, PartialEq)]
struct Detected {
    class: i32,
    score: f32,
    corners: [f32; 4],
}

/// list of struct(label, index, score, box), best first: the first outputs with the roles boxes, box_scores and box_classes.
pub(super) fn detections(context: &Context, threshold: f64) -> Result<ArrayRef, EngineError> {
    let (boxes_at, boxes) = find(context.package, Role::Boxes, "detect")?;
    let (scores_at, scores) = find(context.package, Role::BoxScores, "detect")?;
    let classes = find(context.package, Role::BoxClasses, "detect").ok();
    let spec = boxes.boxes.as_ref().ok_or_else(|| internal("an output lost its table"))?;
    let lengths = context.lengths(boxes_at)?;
    let found = scored(context, scores_at, scores).map_err(|error| context.torch(error))?;
    let own_scores: Vec<f32> =
        found.scores.as_ref().map_or_else(|| Ok(Vec::new()), |tensor| context.items_of(tensor, lengths.as_deref(), Kind::Float))?;
    let own_classes: Vec<i64> = match (&classes, &found.classes) {
        (Some((at, _)), _) => context.items(*at, lengths.as_deref(), Kind::Int64)?,
        (None, Some(tensor)) => context.items_of(tensor, lengths.as_deref(), Kind::Int64)?,
        (None, None) => Vec::new(),
    };
    let corners = context.items::<f64>(boxes_at, lengths.as_deref(), Kind::Double)?;
    let counts = lengths.unwrap_or_else(|| vec![boxes.shape.first().copied().unwrap_or(0); context.placements.len()]);
    let (mut first, threshold) = (0, threshold as f32);
    let of_rows = counts.iter().zip(context.placements).map(|(count, placement)| {
        let all = (first..first + count).filter(|i| own_scores[*i] > threshold).map(|i| Detected {
            class: i32::try_from(own_classes[i]).unwrap_or(i32::MAX),
            score: own_scores[i],
            corners: in_picture(&corners[4 * i..4 * i + 4], *spec, placement),
        });
        let mut all: Vec<Detected> = all.collect();
        all.sort_by(|a, b| b.score.partial_cmp(&a.score).unwrap_or(Ordering::Equal));
        first += count;
        all
    });
    let of_rows: Vec<Vec<Detected>> = of_rows.collect();
    let names = &context.package.labels[classes.map_or(scores_at, |(at, _)| at)];
    objects(context.present, &of_rows, names)
}

/// The score and class of each box; `None` without rows, and without classes if another output gives them.
struct Scored {
    scores: Option<Tensor>,
    classes: Option<Tensor>,
}

fn scored(context: &Context, at: usize, output: &Output) -> Result<Scored, TchError> {
    let Some(raw) = context.outputs.get(at) else { return Ok(Scored { scores: None, classes: None }) };
    let Some(classes) = output.classes() else {
        // There are no classes that a softmax could be over.
        let alone = if output.activation == Activation::Sigmoid { raw.f_to_kind(Kind::Float)?.f_sigmoid()? } else { raw.shallow_clone() };
        return Ok(Scored { scores: Some(alone), classes: None });
    };
    let known = probabilities(raw, output.activation)?.f_narrow(-1, 0, classes as i64)?;
    let (scores, best) = known.f_max_dim(-1, false)?;
    Ok(Scored { scores: Some(scores), classes: Some(best) })
}

/// The corners of a box in the picture.
fn in_picture(values: &[f64], spec: BoxSpec, placement: &Placement) -> [f32; 4] {
    let [a, b, c, d] = [values[0], values[1], values[2], values[3]];
    let [left, top, right, bottom] = match spec.format {
        BoxFormat::Xyxy => [a, b, c, d],
        BoxFormat::Cxcywh => [a - c / 2.0, b - d / 2.0, a + c / 2.0, b + d / 2.0],
    };
    let back = |span: &Span, position: f64| {
        let pixels = match spec.unit {
            BoxUnit::Relative => position * span.prepared as f64,
            BoxUnit::Pixels => position,
        };
        span.in_picture(pixels) as f32
    };
    [back(&placement.x, left), back(&placement.y, top), back(&placement.x, right), back(&placement.y, bottom)]
}

/// One list for each row of the batch; `rows` are the valid ones.
fn objects(present: &[bool], rows: &[Vec<Detected>], names: &[String]) -> Result<ArrayRef, EngineError> {
    let all = || rows.iter().flatten();
    let name = |class: i32| usize::try_from(class).map_or_else(|_| class.to_string(), |at| label(names, at));
    let labels: Vec<String> = all().map(|one| name(one.class)).collect();
    let corner = |at: usize| Arc::new(Float32Array::from_iter_values(all().map(|one| one.corners[at]))) as ArrayRef;
    let boxes = structs([("xmin", corner(0)), ("ymin", corner(1)), ("xmax", corner(2)), ("ymax", corner(3))])?;
    let items = [
        ("label", texts(&labels)?),
        ("index", Arc::new(Int32Array::from_iter_values(all().map(|one| one.class)))),
        ("score", Arc::new(Float32Array::from_iter_values(all().map(|one| one.score)))),
        ("box", boxes),
    ];
    let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
    lists(structs(items)?, &lengths, present)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 400 x 100 that was resized to 200 x 50, and whose middle 50 x 50 are shown.
    fn placement() -> Placement {
        Placement {
            x: Span { picture: 400, resized: 200, prepared: 50, start: -75 },
            y: Span { picture: 100, resized: 50, prepared: 50, start: 0 },
        }
    }

    #[test]
    fn boxes_of_both_kinds_are_in_the_pictures_pixels() {
        let relative = BoxSpec { format: BoxFormat::Cxcywh, unit: BoxUnit::Relative };
        assert_eq!(in_picture(&[0.5, 0.5, 0.2, 1.0], relative, &placement()), [190.0, 0.0, 210.0, 100.0]);
        let pixels = BoxSpec { format: BoxFormat::Xyxy, unit: BoxUnit::Pixels };
        assert_eq!(in_picture(&[0.0, 10.0, 50.0, 20.0], pixels, &placement()), [150.0, 20.0, 250.0, 40.0]);
    }
}

//! `segment`: scores of classes for the points of a prepared image into the class of each pixel of its picture.

use std::cmp::Reverse;
use std::sync::Arc;

use arrow_array::{ArrayRef, BinaryArray, Float32Array, Int64Array};
use flambeau_media::image::{ClassMap, ClassScores, Placement, class_map};
use rayon::prelude::*;
use tch::Kind;

use super::results::{Context, indices, internal, label, lists, scalars, structs, texts, too_many};
use super::roles::find;
use crate::package::Role;
use crate::prepare::StopFlag;
use crate::{EngineError, memory, pool};

/// One class of one picture.
struct Segment {
    class: usize,
    pixels: u64,
    share: f32,
}

/// struct(map, segments: list of struct(label, index, pixels, share)), the largest first: the first output with role pixel_scores.
///
/// Large pictures take a while, so it runs on the pool, and ends early when `stop` is true.
pub(super) fn segments(context: &Context, flag: &StopFlag, stop: &mut dyn FnMut() -> bool) -> Result<ArrayRef, EngineError> {
    let (index, output) = find(context.package, Role::PixelScores, "segment")?;
    let [classes, height, width] = output.shape[..] else { return Err(internal("pixel_scores lost a dimension")) };
    let dense = context.outputs.get(index).map(|scores| scores.f_to_kind(Kind::Float).and_then(|scores| scores.f_contiguous()));
    let dense = dense.transpose().map_err(|error| context.torch(error))?;
    let values = dense.as_ref().map_or(Some(&[][..]), memory::values::<f32>).ok_or_else(|| internal("an output is not dense"))?;
    let of_row = |(values, placement): (&[f32], &Placement)| {
        (!flag.is_set()).then(|| class_map(&ClassScores { values, classes, height, width }, placement))
    };
    let rows = values.par_chunks_exact(classes * height * width).zip(context.placements);
    let work = || rows.map(of_row).collect::<Option<Result<Vec<ClassMap>, _>>>();
    let done = pool::watched(stop, || flag.set(), work).ok_or_else(|| internal("the classes of pixels were not found"))?;
    let maps = done.ok_or(EngineError::Canceled)?.map_err(|error| EngineError::Internal(format!("the map of classes: {error}")))?;
    let found: Vec<Vec<Segment>> = maps.iter().zip(context.placements).map(|(map, placement)| of_map(map, placement)).collect();
    let bytes: usize = maps.iter().map(|map| map.png.len()).sum();
    if i32::try_from(bytes).is_err() {
        return Err(too_many("maps of classes"));
    }
    let pngs: ArrayRef = Arc::new(BinaryArray::from_iter_values(maps.iter().map(|map| &map.png)));
    let rows = structs([("map", pngs), ("segments", listed(&found, &context.package.labels[index])?)])?;
    scalars(&rows, context.present)
}

/// The classes that a picture has, the largest first. Shares are of all its pixels.
fn of_map(map: &ClassMap, placement: &Placement) -> Vec<Segment> {
    let picture = placement.x.picture as f32 * placement.y.picture as f32;
    let found = map.pixels.iter().enumerate().filter(|(_, pixels)| **pixels > 0);
    let mut all: Vec<Segment> = found.map(|(class, pixels)| Segment { class, pixels: *pixels, share: *pixels as f32 / picture }).collect();
    all.sort_by_key(|one| Reverse(one.pixels));
    all
}

fn listed(rows: &[Vec<Segment>], names: &[String]) -> Result<ArrayRef, EngineError> {
    let all = || rows.iter().flatten();
    let labels: Vec<String> = all().map(|one| label(names, one.class)).collect();
    let items = [
        ("label", texts(&labels)?),
        ("index", indices(all().map(|one| one.class))),
        ("pixels", Arc::new(Int64Array::from_iter_values(all().map(|one| one.pixels as i64))) as ArrayRef),
        ("share", Arc::new(Float32Array::from_iter_values(all().map(|one| one.share)))),
    ];
    let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
    lists(structs(items)?, &lengths, &vec![true; rows.len()])
}

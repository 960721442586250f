//! Output tensors into result columns.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow_array::types::{Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, Float32Array, Int32Array, PrimitiveArray, StringArray, StructArray, UInt32Array};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{Field, Fields};
use flambeau_columns::nested;
use flambeau_media::image::Placement;
use tch::{Kind, Tensor};

use super::StagedBatch;
use super::roles::find;
use crate::package::{Activation, Dtype, Role};
use crate::{EngineError, Package, RowError, memory};

/// The batch that results point into.
pub(super) struct Source<'a> {
    pub(super) batch: &'a StructArray,
    pub(super) staged: &'a StagedBatch,
}

/// The data that all result columns of a batch share.
pub(super) struct Context<'a> {
    pub(super) package: &'a Package,
    /// Of the valid rows; empty if there are none.
    pub(super) outputs: &'a [Tensor],
    /// Which rows of the batch are valid.
    pub(super) present: &'a [bool],
    /// Of the valid rows, how their pictures were prepared; empty without images.
    pub(super) placements: &'a [Placement],
    pub(super) source: &'a Source<'a>,
}

impl Context<'_> {
    pub(super) fn torch(&self, error: tch::TchError) -> EngineError {
        EngineError::torch(&self.package.descriptor.name, error)
    }

    fn valid(&self) -> usize {
        self.present.iter().filter(|p| **p).count()
    }

    /// Items of each valid row in output `index`, if rows differ in length.
    pub(super) fn lengths(&self, index: usize) -> Result<Option<Vec<usize>>, EngineError> {
        let outputs = &self.package.descriptor.outputs;
        let output = &outputs[index];
        let Some(at) = output.lengths.as_ref().and_then(|name| outputs.iter().position(|o| o.name == *name)) else { return Ok(None) };
        let lengths = self.values::<i64>(at, Kind::Int64)?;
        let longest = self.outputs.get(index).and_then(|tensor| tensor.size().get(1).copied()).unwrap_or(0);
        let checked = lengths.into_iter().map(|n| usize::try_from(n).ok().filter(|_| n <= longest));
        checked.collect::<Option<Vec<usize>>>().map(Some).ok_or_else(|| {
            let cause =
                format!("output '{}' says that a row has more items than the {longest} of output '{}'", outputs[at].name, output.name);
            EngineError::model(&self.package.descriptor.name, cause)
        })
    }

    /// Output `index` as contiguous values of one kind, rows one after another.
    fn values<T: memory::TensorElement>(&self, index: usize, kind: Kind) -> Result<Vec<T>, EngineError> {
        self.items(index, None, kind)
    }

    /// As [`Context::values`]; if rows differ in length, only the first items of each row, as many as in `lengths`.
    pub(super) fn items<T: memory::TensorElement>(
        &self,
        index: usize,
        lengths: Option<&[usize]>,
        kind: Kind,
    ) -> Result<Vec<T>, EngineError> {
        self.outputs.get(index).map_or_else(|| Ok(Vec::new()), |tensor| self.items_of(tensor, lengths, kind))
    }

    /// As `items`, of a tensor that was computed from an output.
    pub(super) fn items_of<T: memory::TensorElement>(
        &self,
        tensor: &Tensor,
        lengths: Option<&[usize]>,
        kind: Kind,
    ) -> Result<Vec<T>, EngineError> {
        let torch = |error| EngineError::torch(&self.package.descriptor.name, error);
        let own = lengths.map(|lengths| own_items(tensor, lengths)).transpose().map_err(torch)?;
        copied(own.as_ref().unwrap_or(tensor), kind).map_err(torch)?.ok_or_else(|| internal("an output is not dense"))
    }
}

/// The items that belong to their rows, rows one after another: `[rows, longest, …]` becomes `[items, …]`.
pub(super) fn own_items(tensor: &Tensor, lengths: &[usize]) -> Result<Tensor, tch::TchError> {
    let lengths: Vec<i64> = lengths.iter().map(|n| *n as i64).collect();
    let positions = Tensor::f_arange(tensor.size().get(1).copied().unwrap_or(0), (Kind::Int64, tensor.device()))?;
    let own = positions.f_unsqueeze(0)?.f_lt_tensor(&Tensor::f_from_slice(&lengths)?.f_unsqueeze(1)?)?;
    tensor.f_index(&[Some(own)])
}

fn copied<T: memory::TensorElement>(tensor: &Tensor, kind: Kind) -> Result<Option<Vec<T>>, tch::TchError> {
    let dense = tensor.f_to_kind(kind)?.f_contiguous()?;
    Ok(memory::values::<T>(&dense).map(<[T]>::to_vec))
}

/// Arrow's offsets are 32 bits wide.
pub(super) fn too_many(what: &str) -> EngineError {
    EngineError::BadRequest(format!("{what}: more than 2^31 values in one batch; lower spark.flambeau.batch.rows"))
}

pub(super) fn internal(text: &str) -> EngineError {
    EngineError::Internal(text.to_owned())
}

/// list of f32: the first output with role features, flattened.
pub(super) fn features(context: &Context) -> Result<ArrayRef, EngineError> {
    let (index, output) = find(context.package, Role::Features, "featurize")?;
    let values = context.values::<f32>(index, Kind::Float)?;
    let array: ArrayRef = Arc::new(Float32Array::from(values));
    nested::lists(array, &[output.row_len()], context.present).ok_or_else(|| too_many("features"))
}

/// The label of a class; its index if the package has none for it.
pub(super) fn label(names: &[String], class: usize) -> String {
    names.get(class).cloned().unwrap_or_else(|| class.to_string())
}

/// list of struct(label, index, probability), best first. Equal probabilities keep the order of classes; NaN comes last.
pub(super) fn classes(context: &Context, k: usize) -> Result<ArrayRef, EngineError> {
    let (index, output) = find(context.package, Role::Scores, "classify")?;
    let classes = output.row_len();
    let k = k.min(classes);
    let probabilities = match context.outputs.get(index) {
        Some(scores) => {
            activated(scores, output.activation).map_err(|error| EngineError::torch(&context.package.descriptor.name, error))?
        }
        None => Vec::new(),
    };
    let mut best = Vec::with_capacity(context.valid() * k);
    for row in probabilities.chunks(classes.max(1)) {
        best.extend(top(row, k).into_iter().map(|class| (class, row[class])));
    }
    let names = &context.package.labels[index];
    let labels: Vec<String> = best.iter().map(|(class, _)| label(names, *class)).collect();
    let items = [
        ("label", texts(&labels)?),
        ("index", indices(best.iter().map(|(class, _)| *class))),
        ("probability", Arc::new(Float32Array::from_iter_values(best.iter().map(|(_, p)| *p)))),
    ];
    lists(structs(items)?, &vec![k; context.valid()], context.present)
}

/// A list for each row of the batch: the valid row at position i has the next of `lengths` items.
pub(super) fn lists(items: ArrayRef, lengths: &[usize], present: &[bool]) -> Result<ArrayRef, EngineError> {
    nested::ragged(items, &[], lengths, present).ok_or_else(|| too_many("results"))
}

/// Structs of these fields, without NULL.
pub(super) fn structs<const N: usize>(fields: [(&str, ArrayRef); N]) -> Result<ArrayRef, EngineError> {
    nested::structs(fields).ok_or_else(|| internal("fields of a result differ in length"))
}

/// A column of texts, without NULL.
pub(super) fn texts<T: AsRef<str>>(texts: &[T]) -> Result<ArrayRef, EngineError> {
    nested::texts(texts).ok_or_else(|| too_many("texts"))
}

/// A column of indices, i32.
pub(super) fn indices(indices: impl Iterator<Item = usize>) -> ArrayRef {
    Arc::new(Int32Array::from_iter_values(indices.map(|index| i32::try_from(index).unwrap_or(i32::MAX))))
}

pub(super) fn activated(scores: &Tensor, activation: Activation) -> Result<Vec<f32>, tch::TchError> {
    Ok(copied(&probabilities(scores, activation)?, Kind::Float)?.unwrap_or_default())
}

/// Scores as probabilities, f32. Classes are in the last dimension.
pub(super) fn probabilities(scores: &Tensor, activation: Activation) -> Result<Tensor, tch::TchError> {
    match activation {
        Activation::Softmax => scores.f_softmax(-1, Kind::Float),
        Activation::Sigmoid => scores.f_to_kind(Kind::Float)?.f_sigmoid(),
        Activation::None => scores.f_to_kind(Kind::Float),
    }
}

/// Indices of the `k` largest values, largest first.
fn top(row: &[f32], k: usize) -> Vec<usize> {
    let order = |a: &usize, b: &usize| {
        let (x, y) = (row[*a], row[*b]);
        let by_value = match (x.is_nan(), y.is_nan()) {
            (false, false) => y.partial_cmp(&x).unwrap_or(Ordering::Equal),
            (x_nan, y_nan) => x_nan.cmp(&y_nan),
        };
        by_value.then(a.cmp(b))
    };
    let mut indices: Vec<usize> = (0..row.len()).collect();
    if k < indices.len() && k > 0 {
        indices.select_nth_unstable_by(k - 1, order);
    }
    indices.truncate(k);
    indices.sort_unstable_by(order);
    indices
}

/// struct of every output under its own name.
pub(super) fn everything(context: &Context) -> Result<ArrayRef, EngineError> {
    let outputs = &context.package.descriptor.outputs;
    let mut columns = Vec::with_capacity(outputs.len());
    for (index, output) in outputs.iter().enumerate() {
        let lengths = context.lengths(index)?;
        let values = leaf(context, index, lengths.as_deref(), output.dtype)?;
        let too_many = || too_many(&format!("output '{}'", outputs[index].name));
        let column = if let Some(lengths) = lengths {
            nested::ragged(values, &output.shape, &lengths, context.present).ok_or_else(too_many)?
        } else if output.shape.is_empty() {
            scalars(&values, context.present)?
        } else {
            nested::lists(values, &output.shape, context.present).ok_or_else(too_many)?
        };
        columns.push(column);
    }
    let fields: Fields = outputs.iter().zip(&columns).map(|(o, c)| Field::new(&o.name, c.data_type().clone(), true)).collect();
    let all = StructArray::try_new(fields, columns, nested::nulls(context.present));
    all.map(|a| Arc::new(a) as ArrayRef).map_err(|error| EngineError::Internal(error.to_string()))
}

/// The values of one output in the closest type that Spark has: f16 and bf16 become f32, u8 a 16-bit integer.
fn leaf(context: &Context, index: usize, lengths: Option<&[usize]>, dtype: Dtype) -> Result<ArrayRef, EngineError> {
    macro_rules! primitive {
        ($arrow:ty, $kind:ident) => {
            Arc::new(PrimitiveArray::<$arrow>::new(ScalarBuffer::from(context.items(index, lengths, Kind::$kind)?), None))
        };
    }
    Ok(match dtype {
        Dtype::F32 | Dtype::F16 | Dtype::Bf16 => primitive!(Float32Type, Float),
        Dtype::F64 => primitive!(Float64Type, Double),
        Dtype::I64 => primitive!(Int64Type, Int64),
        Dtype::I32 => primitive!(Int32Type, Int),
        Dtype::I16 | Dtype::U8 => primitive!(Int16Type, Int16),
        Dtype::I8 => primitive!(Int8Type, Int8),
        Dtype::Bool => Arc::new(BooleanArray::from(context.items::<bool>(index, lengths, Kind::Bool)?)),
    })
}

/// One value per valid row into one per row of the batch.
pub(super) fn scalars(values: &ArrayRef, present: &[bool]) -> Result<ArrayRef, EngineError> {
    let mut next = 0_u32;
    let index: UInt32Array = present
        .iter()
        .map(|p| {
            p.then(|| {
                next += 1;
                next - 1
            })
        })
        .collect();
    arrow_select::take::take(values.as_ref(), &index, None).map_err(|error| EngineError::Internal(error.to_string()))
}

/// Why each bad row is bad.
pub(super) fn errors<'a>(rows: usize, errors: impl Iterator<Item = (usize, &'a String, &'a RowError)>) -> ArrayRef {
    let mut texts: Vec<Option<String>> = vec![None; rows];
    for (row, input, error) in errors {
        texts[row] = Some(error.of_input(input));
    }
    Arc::new(StringArray::from(texts))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn top_is_best_first_with_ties_in_class_order_and_nan_last() {
        assert_eq!(top(&[0.1, 0.7, 0.2], 2), [1, 2]);
        assert_eq!(top(&[0.5, 0.5, 0.5], 2), [0, 1]);
        assert_eq!(top(&[f32::NAN, 0.1, f32::NAN, 0.3], 4), [3, 1, 0, 2]);
        assert_eq!(top(&[0.1], 0), [0_usize; 0]);
    }

    #[test]
    fn scalars_skip_absent_rows() {
        let values: ArrayRef = Arc::new(Int32Array::from(vec![7, 8]));
        let column = scalars(&values, &[true, false, true]).unwrap();
        assert_eq!(column.as_ref(), &Int32Array::from(vec![Some(7), None, Some(8)]) as &dyn Array);
    }
}

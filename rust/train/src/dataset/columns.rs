//! The columns of a row besides its inputs: `__label`, `__weight`, `__validation`, `__id`, `__shard`, `__group`.

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, BooleanArray, StructArray};
use arrow_schema::{DataType, Fields};
use flambeau_engine::EngineError;

use super::Dense;

/// The column of labels.
pub(super) const LABEL: &str = "__label";

/// Names that are not inputs.
pub(super) const RESERVED: [&str; 6] = [LABEL, "__weight", "__validation", "__id", "__shard", "__group"];

/// Labels of all rows.
#[derive(Debug, Clone)]
pub(crate) enum Labels {
    /// A number each.
    Scalars(Vec<f64>),
    /// Several per row; in the dataset's file.
    Arrays(Dense),
}

impl Labels {
    /// The first row with a label that `wanted` is true for, and that label.
    pub(crate) fn find(&self, wanted: impl Fn(f64) -> bool) -> Option<(usize, f64)> {
        match self {
            Self::Scalars(values) => values.iter().position(|value| wanted(*value)).map(|row| (row, values[row])),
            Self::Arrays(dense) => dense.find(wanted),
        }
    }
}

/// The data of every row that stays in memory.
#[derive(Debug)]
pub(crate) struct RowColumns {
    pub(crate) labels: Labels,
    /// None: 1 each.
    pub(crate) weights: Option<Vec<f64>>,
    /// None: no row.
    pub(crate) validation: Option<Vec<bool>>,
    /// None: the position in the dataset.
    pub(crate) ids: Option<Vec<i64>>,
    pub(crate) shards: Option<Vec<u32>>,
    pub(crate) groups: Option<Vec<i64>>,
    /// Whether labels are among the dense columns, and not here.
    stores_labels: bool,
    label_range: Option<(f64, f64)>,
    count: usize,
}

/// Takes a bad row, the column and the cause.
type Note<'a> = &'a mut dyn FnMut(usize, &str, String);

impl RowColumns {
    /// Empty, for batches of these columns.
    pub(super) fn new(columns: &Fields, stores_labels: bool, label_range: Option<(f64, f64)>) -> Result<Self, EngineError> {
        let kind = |name: &str| columns.iter().find(|f| f.name() == name).map(|f| f.data_type().clone());
        let expect = |name: &str, wanted: &DataType| match kind(name) {
            Some(actual) if actual != *wanted => Err(EngineError::BadRequest(format!("column {name} is {actual}, expected {wanted}"))),
            other => Ok(other.is_some()),
        };
        match kind(LABEL) {
            Some(DataType::Float64) => (),
            Some(_) if stores_labels => (),
            Some(other) => return Err(EngineError::BadRequest(format!("labels are {other}, expected a double, or a dense column"))),
            None => return Err(EngineError::BadRequest("the dataset has no column __label".into())),
        }
        Ok(Self {
            labels: Labels::Scalars(Vec::new()),
            weights: expect("__weight", &DataType::Float64)?.then(Vec::new),
            validation: expect("__validation", &DataType::Boolean)?.then(Vec::new),
            ids: expect("__id", &DataType::Int64)?.then(Vec::new),
            shards: expect("__shard", &DataType::Int32)?.then(Vec::new),
            groups: expect("__group", &DataType::Int64)?.then(Vec::new),
            stores_labels,
            label_range,
            count: 0,
        })
    }

    /// How much a row counts; 1 if rows have no weights.
    pub(crate) fn weight(&self, row: u32) -> f64 {
        self.weights.as_ref().map_or(1.0, |weights| weights[row as usize])
    }

    /// Records rows of a batch that cannot be trained on.
    pub(super) fn check(&self, batch: &StructArray, shards: u32, note: Note<'_>) -> Result<(), EngineError> {
        if !self.stores_labels {
            let labels = column(batch, LABEL)?;
            let values = labels.as_primitive::<Float64Type>();
            for row in 0..values.len() {
                match (values.is_null(row), values.value(row)) {
                    (true, _) => note(row, LABEL, "the label is NULL".into()),
                    (_, value) if !value.is_finite() => note(row, LABEL, format!("the label is {value}")),
                    (_, value) => {
                        if let Some(cause) = self.out_of_range(value) {
                            note(row, LABEL, cause);
                        }
                    }
                }
            }
        }
        if self.weights.is_some() {
            let weights = column(batch, "__weight")?;
            let weights = weights.as_primitive::<Float64Type>();
            let bad = |i: &usize| weights.is_null(*i) || !weights.value(*i).is_finite() || weights.value(*i) < 0.0;
            (0..weights.len()).filter(bad).for_each(|row| note(row, "__weight", "a weight must be a number of at least 0".into()));
        }
        if self.shards.is_some() {
            let values = column(batch, "__shard")?;
            let values = values.as_primitive::<Int32Type>();
            let bad = |i: &usize| values.is_null(*i) || !u32::try_from(values.value(*i)).is_ok_and(|shard| shard < shards);
            (0..values.len()).filter(bad).for_each(|row| note(row, "__shard", format!("a shard must be in 0..{shards}")));
        }
        for (name, _) in [("__id", &self.ids), ("__group", &self.groups)].into_iter().filter(|(_, all)| all.is_some()) {
            let values = column(batch, name)?;
            (0..values.len()).filter(|i| values.is_null(*i)).for_each(|row| note(row, name, "the value is NULL".into()));
        }
        Ok(())
    }

    /// Why a label's value cannot be learned, if so.
    pub(super) fn out_of_range(&self, value: f64) -> Option<String> {
        let (low, high) = self.label_range?;
        (!(low..=high).contains(&value)).then(|| format!("the label is {value}; with this loss labels are from {low} to {high}"))
    }

    /// Appends the rows of a batch that are kept; they were checked.
    pub(super) fn append(&mut self, batch: &StructArray, kept: &BooleanArray) -> Result<(), EngineError> {
        if !self.stores_labels
            && let Labels::Scalars(all) = &mut self.labels
        {
            all.extend(values::<Float64Type>(batch, LABEL, kept)?);
        }
        if let Some(all) = &mut self.weights {
            all.extend(values::<Float64Type>(batch, "__weight", kept)?);
        }
        if let Some(all) = &mut self.ids {
            all.extend(values::<Int64Type>(batch, "__id", kept)?);
        }
        if let Some(all) = &mut self.groups {
            all.extend(values::<Int64Type>(batch, "__group", kept)?);
        }
        if let Some(all) = &mut self.shards {
            all.extend(values::<Int32Type>(batch, "__shard", kept)?.into_iter().map(|shard| u32::try_from(shard).unwrap_or(0)));
        }
        if let Some(all) = &mut self.validation {
            let flags = column(batch, "__validation")?;
            all.extend(flags.as_boolean().iter().zip(kept.values()).filter(|(_, kept)| *kept).map(|(flag, _)| flag == Some(true)));
        }
        self.count += kept.true_count();
        Ok(())
    }

    /// How many rows there are.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The row's `__id`, or its position.
    pub(crate) fn id(&self, row: usize) -> i64 {
        self.ids.as_ref().map_or(row as i64, |ids| ids[row])
    }

    pub(crate) fn is_validation(&self, row: usize) -> bool {
        self.validation.as_ref().is_some_and(|flags| flags[row])
    }
}

fn column(batch: &StructArray, name: &str) -> Result<ArrayRef, EngineError> {
    batch.column_by_name(name).cloned().ok_or_else(|| EngineError::Internal(format!("no column {name}")))
}

/// The values of the rows that are kept.
fn values<T: ArrowPrimitiveType>(batch: &StructArray, name: &str, kept: &BooleanArray) -> Result<Vec<T::Native>, EngineError> {
    let column = column(batch, name)?;
    let all = column.as_primitive::<T>().values();
    Ok(all.iter().zip(kept.values()).filter(|(_, kept)| *kept).map(|(value, _)| *value).collect())
}

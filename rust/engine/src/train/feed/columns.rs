//! The columns of a row beside its inputs: `__label`, `__weight`, `__validation`, `__id`, `__slot`, `__group`.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int32Type, Int64Type};
use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{DataType, Fields};
use flambeau_columns::dense;

use crate::{EngineError, RowFault};

/// Names that are not inputs.
pub(super) const RESERVED: [&str; 6] = ["__label", "__weight", "__validation", "__id", "__slot", "__group"];

/// Labels of all rows.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::train) enum Labels {
    /// A number each.
    Scalars(Vec<f64>),
    /// `width` numbers each, row after row.
    Vectors { width: usize, values: Vec<f32> },
}

/// What stays in memory of every row.
#[derive(Debug)]
pub(in crate::train) struct RowColumns {
    pub(in crate::train) labels: Labels,
    /// None: 1 each.
    pub(in crate::train) weights: Option<Vec<f64>>,
    /// None: no row.
    pub(in crate::train) validation: Option<Vec<bool>>,
    /// None: the position in the feed.
    pub(in crate::train) ids: Option<Vec<i64>>,
    pub(in crate::train) slots: Option<Vec<u32>>,
    pub(in crate::train) groups: Option<Vec<i64>>,
}

impl RowColumns {
    /// Empty, for batches of these columns.
    pub(super) fn new(columns: &Fields) -> Result<Self, EngineError> {
        let kind = |name: &str| columns.iter().find(|f| f.name() == name).map(|f| f.data_type().clone());
        let expect = |name: &str, wanted: &DataType| match kind(name) {
            Some(actual) if actual != *wanted => Err(EngineError::BadRequest(format!("column {name} is {actual}, expected {wanted}"))),
            other => Ok(other.is_some()),
        };
        let labels = match kind("__label") {
            Some(DataType::Float64) => Labels::Scalars(Vec::new()),
            Some(other) if dense::check_type(&other, 1).is_ok() => Labels::Vectors { width: 0, values: Vec::new() },
            Some(other) => return Err(EngineError::BadRequest(format!("labels are {other}, expected a double or an array of numbers"))),
            None => return Err(EngineError::BadRequest("the feed has no column __label".into())),
        };
        Ok(Self {
            labels,
            weights: expect("__weight", &DataType::Float64)?.then(Vec::new),
            validation: expect("__validation", &DataType::Boolean)?.then(Vec::new),
            ids: expect("__id", &DataType::Int64)?.then(Vec::new),
            slots: expect("__slot", &DataType::Int32)?.then(Vec::new),
            groups: expect("__group", &DataType::Int64)?.then(Vec::new),
        })
    }

    /// Checks and appends a batch's rows; nothing is kept of a batch that fails.
    pub(super) fn add(&mut self, batch: &StructArray, slots: u32) -> Result<(), EngineError> {
        let rows = batch.len();
        let column = |name: &str| batch.column_by_name(name).cloned().ok_or_else(|| EngineError::Internal(format!("no column {name}")));
        let labels = self.read_labels(&column("__label")?, rows)?;
        let weights = self.weights.is_some().then(|| read_weights(&column("__weight")?)).transpose()?;
        let ids = self.ids.is_some().then(|| read_whole(&column("__id")?, "__id")).transpose()?;
        let groups = self.groups.is_some().then(|| read_whole(&column("__group")?, "__group")).transpose()?;
        let slots = self.slots.is_some().then(|| read_slots(&column("__slot")?, slots)).transpose()?;
        if let Some(all) = &mut self.validation {
            let flags = column("__validation")?;
            all.extend(flags.as_boolean().iter().map(|flag| flag == Some(true)));
        }
        extend(&mut self.weights, weights);
        extend(&mut self.ids, ids);
        extend(&mut self.groups, groups);
        extend(&mut self.slots, slots);
        match (&mut self.labels, labels) {
            (Labels::Scalars(all), Labels::Scalars(new)) => all.extend(new),
            (Labels::Vectors { width, values }, Labels::Vectors { width: new_width, values: new }) => {
                *width = new_width;
                values.extend(new);
            }
            _ => return Err(EngineError::Internal("labels changed their type".into())),
        }
        Ok(())
    }

    fn read_labels(&self, column: &ArrayRef, rows: usize) -> Result<Labels, EngineError> {
        if let Some(row) = (0..rows).find(|row| column.is_null(*row)) {
            return Err(fault(row, "__label", "the label is NULL"));
        }
        match &self.labels {
            Labels::Scalars(_) => {
                let values = column.as_primitive::<Float64Type>().values();
                match values.iter().position(|v| !v.is_finite()) {
                    Some(row) => Err(fault(row, "__label", format!("the label is {}", values[row]))),
                    None => Ok(Labels::Scalars(values.to_vec())),
                }
            }
            Labels::Vectors { width, .. } => {
                let width = if *width > 0 || rows == 0 { *width } else { list_len(column) };
                let mut values = vec![0_f32; rows * width];
                let all: Vec<usize> = (0..rows).collect();
                let faults = dense::gather(column, &[width], &all, &mut values);
                if let Some((row, error)) = faults.into_iter().next() {
                    return Err(fault(row, "__label", error));
                }
                match values.iter().position(|v| !v.is_finite()) {
                    Some(place) => Err(fault(place / width.max(1), "__label", "the label holds a value that is not finite")),
                    None => Ok(Labels::Vectors { width, values }),
                }
            }
        }
    }

    /// Bytes that one row costs.
    pub(in crate::train) fn len(&self) -> usize {
        match &self.labels {
            Labels::Scalars(values) => values.len(),
            Labels::Vectors { width, values } => values.len() / (*width).max(1),
        }
    }

    /// The row's `__id`, or its position.
    pub(in crate::train) fn id(&self, row: usize) -> i64 {
        self.ids.as_ref().map_or(row as i64, |ids| ids[row])
    }

    pub(in crate::train) fn is_validation(&self, row: usize) -> bool {
        self.validation.as_ref().is_some_and(|flags| flags[row])
    }
}

/// Values of the first row.
fn list_len(column: &ArrayRef) -> usize {
    match column.data_type() {
        DataType::List(_) => usize::try_from(column.as_list::<i32>().value_length(0)).unwrap_or(0),
        DataType::LargeList(_) => usize::try_from(column.as_list::<i64>().value_length(0)).unwrap_or(0),
        DataType::FixedSizeList(_, n) => usize::try_from(*n).unwrap_or(0),
        _ => 0,
    }
}

fn extend<T>(all: &mut Option<Vec<T>>, new: Option<Vec<T>>) {
    if let (Some(all), Some(new)) = (all, new) {
        all.extend(new);
    }
}

fn read_weights(column: &ArrayRef) -> Result<Vec<f64>, EngineError> {
    let weights = column.as_primitive::<Float64Type>();
    match (0..weights.len()).find(|&i| weights.is_null(i) || !weights.value(i).is_finite() || weights.value(i) < 0.0) {
        Some(row) => Err(fault(row, "__weight", "a weight must be a number of at least 0")),
        None => Ok(weights.values().to_vec()),
    }
}

fn read_whole(column: &ArrayRef, name: &'static str) -> Result<Vec<i64>, EngineError> {
    let values = column.as_primitive::<Int64Type>();
    match (0..values.len()).find(|&i| values.is_null(i)) {
        Some(row) => Err(fault(row, name, "the value is NULL")),
        None => Ok(values.values().to_vec()),
    }
}

fn read_slots(column: &ArrayRef, slots: u32) -> Result<Vec<u32>, EngineError> {
    let values = column.as_primitive::<Int32Type>();
    let slot = |i: usize| if values.is_null(i) { None } else { u32::try_from(values.value(i)).ok().filter(|slot| *slot < slots) };
    (0..values.len()).map(|i| slot(i).ok_or_else(|| fault(i, "__slot", format!("a slot must be in 0..{slots}")))).collect()
}

/// An error of one row of the batch just fed.
pub(super) fn fault(row: usize, input: &str, cause: impl std::fmt::Display) -> EngineError {
    EngineError::BadInput { row, input: input.to_owned(), fault: RowFault::Training(cause.to_string()) }
}

//! A session: one task's evaluation of one model over one input schema, for a list of requested outputs.
//!
//! How a batch is evaluated: rows with a NULL in any input are set aside; the others are staged column by column. Rows that
//! cannot be staged are errors, or set aside too if every request takes NULL for them. Forward passes are planned, run and collected
//! in row order. Rows that make the program fail are found ([`runner`]) and treated likewise. Each request becomes one column
//! with NULL for the rows set aside.
//!
//! A session belongs to one thread; other threads help with forward passes while cores are free. It keeps no data between calls.

mod answer;
mod causes;
mod collect;
mod counters;
mod detections;
mod entities;
mod passes;
mod queue;
mod request;
mod rerank;
mod results;
mod roles;
mod runner;
mod segments;
mod tokens;
mod transcripts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use arrow_array::{Array, ArrayRef, StructArray};
use arrow_schema::{DataType, Field, Fields};
use tch::Tensor;

pub use causes::BadRowCause;
pub use counters::Counters;
pub use request::{OutputRequest, Request, Task};

use crate::package::InputKind;
use crate::prepare::{Limits, Preparer, Staged, StopFlag};
use crate::spare::Cores;
use crate::{EngineError, Model, RowError, memory, pool};
use counters::elapsed_ns;
use passes::PassLimits;
use runner::Ran;

/// See the module.
pub struct Session {
    model: Arc<Model>,
    columns: Fields,
    request: Request,
    limits: Limits,
    /// Rows that made the program fail, while it has not succeeded for any.
    unanswered: AtomicUsize,
}

/// The rows of a batch that reach the model, and the reasons why others do not.
struct StagedBatch {
    /// Rows of the batch with all inputs present.
    present: Vec<usize>,
    /// Positions in `present` that staged well.
    valid: Vec<usize>,
    /// Positions in `present` with the first error of each, in order.
    errors: Vec<(usize, String, RowError)>,
    staged: Vec<Staged>,
}

/// The rows with all inputs present. Most batches have no NULL: then no row is checked.
fn present(batch: &StructArray, preparers: &[Preparer]) -> Vec<usize> {
    let inputs = || batch.columns().iter().zip(preparers);
    if batch.null_count() == 0 && inputs().all(|(column, preparer)| column.null_count() == 0 && !preparer.has_null_marks(column)) {
        return (0..batch.len()).collect();
    }
    let is_null =
        |row: usize| batch.is_null(row) || inputs().any(|(column, preparer)| column.is_null(row) || preparer.is_null_mark(column, row));
    (0..batch.len()).filter(|row| !is_null(*row)).collect()
}

impl Session {
    /// Binds `model` to columns of these types (one for each input, in order, with any names) and to the requested outputs.
    ///
    /// # Errors
    /// Columns or requests that do not fit the model.
    pub fn new(model: Arc<Model>, columns: Fields, request: Request) -> Result<Self, EngineError> {
        let inputs = &model.package.descriptor.inputs;
        if columns.len() != inputs.len() {
            let names: Vec<_> = inputs.iter().map(|i| i.name.as_str()).collect();
            let text =
                format!("model '{}' takes {} inputs ({}), {} were given", model.name(), inputs.len(), names.join(", "), columns.len());
            return Err(EngineError::BadRequest(text));
        }
        for ((input, preparer), column) in inputs.iter().zip(&model.preparers).zip(&columns) {
            preparer.check_type(column.data_type()).map_err(|error| EngineError::Column { input: input.name.clone(), error })?;
        }
        request.check(&model.package)?;
        if request.needs_offsets() && model.preparers.iter().any(Preparer::pads_left) {
            let text =
                format!("the tokenizer of model '{}' pads texts at their beginning, so positions in a text are not known", model.name());
            return Err(EngineError::BadRequest(text));
        }
        let limits = Limits { images: request.images, offsets: request.needs_offsets(), stop: StopFlag::default() };
        Ok(Self { model, columns, request, limits, unanswered: AtomicUsize::new(0) })
    }

    /// The model's name.
    #[must_use]
    pub fn model(&self) -> &str {
        self.model.name()
    }

    /// The columns that every batch must have.
    #[must_use]
    pub fn columns(&self) -> &Fields {
        &self.columns
    }

    /// Maximum native bytes of a batch of `rows` rows besides the input, without the program's activations: staged rows and
    /// results.
    #[must_use]
    pub fn estimate_bytes(&self, rows: u64) -> u64 {
        let inputs: u64 = self.model.preparers.iter().map(crate::prepare::Preparer::row_bytes).sum();
        let outputs: u64 = self.model.package.descriptor.outputs.iter().map(|o| o.row_len() as u64 * 8).sum();
        rows.saturating_mul(inputs.saturating_add(outputs))
    }

    /// Evaluates one batch: one column per requested output, as many rows as `batch`.
    ///
    /// # Errors
    /// See [`EngineError`]. `counters` is updated as far as the work went.
    pub fn evaluate(&self, batch: &StructArray, counters: &mut Counters) -> Result<StructArray, EngineError> {
        self.evaluate_until(batch, counters, &mut || false)
    }

    /// As [`Session::evaluate`]; checks `stop` before every forward pass.
    ///
    /// # Errors
    /// Also [`EngineError::Canceled`], once `stop` is true.
    pub fn evaluate_until(
        &self,
        batch: &StructArray,
        counters: &mut Counters,
        stop: &mut dyn FnMut() -> bool,
    ) -> Result<StructArray, EngineError> {
        self.check_batch(batch)?;
        let _cores = Cores::of_task();
        let rows = batch.len();
        counters.rows += rows as u64;
        let started = Instant::now();
        let mut staged_batch = self.stage_rows(batch, stop)?;
        counters.prepare_ns += elapsed_ns(started);
        counters.add_bad(staged_batch.errors.iter().map(|(.., error)| error));
        if let Some((position, input, error)) = self.first_fatal_error(&staged_batch) {
            let row = staged_batch.present[position];
            return Err(EngineError::BadInput { row, input, error });
        }
        let outputs = self.run(&mut staged_batch, counters, stop)?;
        let started = Instant::now();
        let result = self.results(&results::Source { batch, staged: &staged_batch }, &outputs, stop)?;
        counters.convert_ns += elapsed_ns(started);
        let staged: u64 = self.estimate_bytes(staged_batch.present.len() as u64);
        counters.peak_native_bytes = counters.peak_native_bytes.max(staged);
        Ok(result)
    }

    fn check_batch(&self, batch: &StructArray) -> Result<(), EngineError> {
        let types = |fields: &Fields| fields.iter().map(|f| f.data_type().clone()).collect::<Vec<DataType>>();
        if types(batch.fields()) != types(&self.columns) {
            return Err(EngineError::Internal(format!(
                "the batch has {:?}, the session was opened for {:?}",
                batch.fields(),
                self.columns
            )));
        }
        Ok(())
    }

    /// Sets NULL rows aside and stages the others, until `stop` is true.
    fn stage_rows(&self, batch: &StructArray, stop: &mut dyn FnMut() -> bool) -> Result<StagedBatch, EngineError> {
        let preparers = &self.model.preparers;
        let present = present(batch, preparers);
        let mut staged = Vec::with_capacity(preparers.len());
        let mut error_of: BTreeMap<usize, (String, RowError)> = BTreeMap::new();
        for ((preparer, column), input) in preparers.iter().zip(batch.columns()).zip(&self.model.package.descriptor.inputs) {
            let second = preparer.second().map(|at| batch.column(at));
            let mut one = self.stage(preparer, (column, second), &present, stop)?;
            for (position, error) in one.errors.drain(..) {
                error_of.entry(position).or_insert_with(|| (input.name.clone(), error));
            }
            staged.push(one);
        }
        let valid = (0..present.len()).filter(|position| error_of.is_empty() || !error_of.contains_key(position)).collect();
        let errors = error_of.into_iter().map(|(position, (input, error))| (position, input, error)).collect();
        Ok(StagedBatch { present, valid, errors, staged })
    }

    /// Copying numbers is fast. Decoding and tokenizing may take long, so the task can be stopped meanwhile.
    fn stage(
        &self,
        preparer: &Preparer,
        (column, second): (&ArrayRef, Option<&ArrayRef>),
        rows: &[usize],
        stop: &mut dyn FnMut() -> bool,
    ) -> Result<Staged, EngineError> {
        let stage = || preparer.stage(self.model(), column, second, rows, &self.limits);
        if matches!(preparer, Preparer::Tensor(_)) {
            return stage();
        }
        let flag = &self.limits.stop;
        let staged = pool::watched(stop, || flag.set(), stage);
        if flag.is_set() {
            return Err(EngineError::Canceled);
        }
        staged.unwrap_or_else(|| Err(EngineError::Internal("rows were not prepared".into())))
    }

    /// The first error, if some request wants an error for it.
    fn first_fatal_error(&self, staged_batch: &StagedBatch) -> Option<(usize, String, RowError)> {
        if self.request.is_null_on_error() {
            return None;
        }
        staged_batch.errors.first().map(|(position, input, error)| (*position, input.clone(), error.clone()))
    }

    /// The model's outputs for the valid rows, in their order. Rows that make the program fail are removed from them.
    fn run(
        &self,
        staged_batch: &mut StagedBatch,
        counters: &mut Counters,
        stop: &mut dyn FnMut() -> bool,
    ) -> Result<Vec<Tensor>, EngineError> {
        if let Some(fault) = self.request.fault {
            fault.strike(self.model())?;
        }
        let device = self.model.device();
        let _on_device = device.enter().map_err(|error| EngineError::torch(self.model(), error))?;
        let limits = if device.is_cuda() { PassLimits::ON_DEVICE } else { PassLimits::ON_CPU };
        let plan = passes::plan(staged_batch.staged.iter().map(|s| &s.rows), &staged_batch.valid, self.pass_rows(&limits), &limits);
        counters.real_tokens += plan.real;
        counters.padded_tokens += plan.padded;
        let runner = runner::Runner {
            model: &self.model,
            plan: &plan,
            wanted: self.request.wanted(&self.model.package),
            null_on_error: self.request.is_null_on_error(),
            unanswered: &self.unanswered,
            counters: &mut *counters,
            stop,
        };
        let Ran { outputs, refused } = runner.run(&mut staged_batch.staged).map_err(|error| match error {
            EngineError::BadInput { row, input, error } => {
                EngineError::BadInput { row: staged_batch.present[staged_batch.valid[row]], input, error }
            }
            other => other,
        })?;
        if refused.is_empty() {
            return Ok(outputs);
        }
        counters.add_bad(refused.iter().map(|(_, error)| error));
        let started = Instant::now();
        let answered: Vec<usize> =
            (0..staged_batch.valid.len()).filter(|i| refused.binary_search_by_key(i, |(row, _)| *row).is_err()).collect();
        let outputs = if answered.is_empty() { Vec::new() } else { self.rows_of(&outputs, &answered)? };
        staged_batch.errors.extend(refused.into_iter().map(|(row, error)| (staged_batch.valid[row], String::new(), error)));
        staged_batch.valid = answered.into_iter().map(|i| staged_batch.valid[i]).collect();
        counters.convert_ns += elapsed_ns(started);
        Ok(outputs)
    }

    fn rows_of(&self, outputs: &[Tensor], rows: &[usize]) -> Result<Vec<Tensor>, EngineError> {
        let index: Vec<i64> = rows.iter().map(|row| *row as i64).collect();
        let taken = Tensor::f_from_slice(&index)
            .and_then(|index| outputs.iter().map(|output| memory::if_defined(output, |output| output.f_index_select(0, &index))).collect());
        taken.map_err(|error| EngineError::torch(self.model(), error))
    }

    fn pass_rows(&self, limits: &PassLimits) -> usize {
        let descriptor = &self.model.package.descriptor;
        let batch_rows = self.request.pass_rows.map_or_else(|| descriptor.batch_rows(), |rows| rows.max(1));
        let has_images = descriptor.inputs.iter().any(|input| input.kind == InputKind::Image);
        if has_images { batch_rows.min(limits.images) } else { batch_rows }
    }

    fn results(
        &self,
        source: &results::Source<'_>,
        outputs: &[Tensor],
        stop: &mut dyn FnMut() -> bool,
    ) -> Result<StructArray, EngineError> {
        let (rows, staged_batch) = (source.batch.len(), source.staged);
        let mut present = vec![false; rows];
        for &position in &staged_batch.valid {
            present[staged_batch.present[position]] = true;
        }
        let prepared = staged_batch.staged.iter().map(|staged| &staged.placements).find(|all| !all.is_empty());
        let placements: Vec<_> = prepared.map_or_else(Vec::new, |all| staged_batch.valid.iter().map(|position| all[*position]).collect());
        let context = results::Context { package: &self.model.package, outputs, present: &present, placements: &placements, source };
        let columns = self
            .request
            .outputs
            .iter()
            .map(|output| match output.task {
                Task::Featurize => results::features(&context),
                Task::Classify => results::classes(&context, output.k),
                Task::Infer => results::everything(&context),
                Task::Detect => detections::detections(&context, output.threshold),
                Task::Segment => segments::segments(&context, &self.limits.stop, stop),
                Task::Transcribe => transcripts::transcripts(&context),
                Task::Rerank => rerank::scores(&context),
                Task::Entities => entities::entities(&context),
                Task::Answer => answer::answers(&context),
                Task::Error => {
                    Ok(results::errors(rows, staged_batch.errors.iter().map(|(p, input, error)| (staged_batch.present[*p], input, error))))
                }
            })
            .collect::<Result<Vec<ArrayRef>, _>>()?;
        let fields: Fields = columns.iter().enumerate().map(|(i, c)| Field::new(format!("r{i}"), c.data_type().clone(), true)).collect();
        StructArray::try_new(fields, columns, None).map_err(|error| EngineError::Internal(error.to_string()))
    }
}

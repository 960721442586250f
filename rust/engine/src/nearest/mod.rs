//! Exact nearest neighbors: of a block of queries among rows that come block by block.
//!
//! A product of two matrices in f32 gives an approximation of all scores of two blocks. It only decides which pairs are looked at,
//! since its rounding error has a bound ([`screen`]). A pair that could be better than the worst neighbor so far is scored again, in
//! f64, from its two vectors alone ([`Metric::score`]). So a result does not depend on how rows fall into blocks, equal vectors have
//! equal scores, and equal scores are ordered by id.
//!
//! A vector is left out, on both sides, if it is NULL, has NULL, NaN or infinity inside, or, for the cosine, has length 0.
//!
//! Who owns what: [`Nearest`] copies the queries' vectors and the ids of their neighbors, at most `k` each. Rows are only read.

mod heap;
mod ids;
mod metric;
mod screen;
mod vectors;

use std::sync::Arc;

use arrow_array::{ArrayRef, Float64Array, Int32Array, StructArray};
use arrow_schema::Fields;
use flambeau_torch_ext::process;
use serde::Deserialize;

use crate::{EngineError, memory};
use heap::Heap;
use ids::{Id, Ids};
pub use metric::Metric;
use screen::Screen;
use vectors::{Rows, Vectors};

/// What libtorch's errors name in place of a model.
const NAME: &str = "flambeau_nearest";

/// Queries of one product: with a block of rows of the usual size, the product stays in a core's cache.
const QUERIES: usize = 512;

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NearestSpec {
    /// How two vectors are compared.
    pub metric: Metric,
    /// Neighbors of each query, at least 1.
    pub k: usize,
    /// The smallest similarity, or the largest distance, of a neighbor. None: any.
    pub threshold: Option<f64>,
    /// Whether a neighbor's id must be smaller than the query's: then each pair of one table comes once, and no row is its own neighbor.
    pub smaller_ids: bool,
}

/// One search. Columns by position: `id` (64-bit integers or bytes) and `vector` (a list of f32).
#[derive(Debug)]
pub struct Nearest {
    spec: NearestSpec,
    floor: f64,
    query_columns: Fields,
    row_columns: Fields,
    queries: Option<Queries>,
}

/// A block of queries, and the neighbors of each.
#[derive(Debug)]
struct Queries {
    vectors: Vectors,
    /// None if the ids of neighbors are not compared with them.
    ids: Option<Ids>,
    heaps: Vec<Heap>,
}

impl Nearest {
    /// A search without queries.
    ///
    /// # Errors
    /// `k` is 0, or a side does not have two columns.
    pub fn new(spec: NearestSpec, query_columns: Fields, row_columns: Fields) -> Result<Self, EngineError> {
        if spec.k == 0 || query_columns.len() != 2 || row_columns.len() != 2 {
            return Err(EngineError::Internal("a search for neighbors takes k > 0, and an id and a vector of both sides".to_owned()));
        }
        let floor = spec.threshold.map_or(f64::NEG_INFINITY, |threshold| spec.metric.score_of(threshold));
        Ok(Self { spec, floor, query_columns, row_columns, queries: None })
    }

    /// The columns of queries.
    #[must_use]
    pub fn query_columns(&self) -> &Fields {
        &self.query_columns
    }

    /// The columns of rows.
    #[must_use]
    pub fn row_columns(&self) -> &Fields {
        &self.row_columns
    }

    /// Starts with these queries; those before are forgotten.
    ///
    /// # Errors
    /// Vectors differ in their number of elements, or there is no memory for them.
    pub fn begin(&mut self, batch: &StructArray) -> Result<(), EngineError> {
        self.queries = None;
        let vectors = Vectors::read(batch.column(1), None, self.spec.metric)?;
        let ids = self.spec.smaller_ids.then(|| Ids::of(batch.column(0))).transpose()?;
        let heaps = vectors.places().iter().map(|_| Heap::new(self.spec.k)).collect();
        self.queries = Some(Queries { vectors, ids, heaps });
        Ok(())
    }

    /// Compares all queries with these rows.
    ///
    /// # Errors
    /// A vector has another number of elements than the queries, or there is no memory for a product.
    pub fn compare(&mut self, batch: &StructArray) -> Result<(), EngineError> {
        let Some(queries) = self.queries.as_mut().filter(|queries| !queries.vectors.is_empty()) else { return Ok(()) };
        let rows = Vectors::read(batch.column(1), Some(queries.vectors.dimension()), self.spec.metric)?;
        if rows.is_empty() {
            return Ok(());
        }
        let block =
            Block { screen: Screen::of(&rows, self.spec.metric), ids: Ids::of(batch.column(0))?, values: rows.rows()?, vectors: &rows };
        process::keep_to_threads();
        let torch = |error| EngineError::torch(NAME, error);
        let turned = rows.tensor().f_transpose(0, 1).map_err(torch)?;
        let asked = queries.vectors.len();
        for first in (0..asked).step_by(QUERIES) {
            let part = queries.vectors.tensor().f_narrow(0, first as i64, QUERIES.min(asked - first) as i64).map_err(torch)?;
            let product = part.f_mm(&turned).map_err(torch)?;
            let products = memory::values::<f32>(&product).ok_or_else(|| EngineError::Internal("a product is not dense".to_owned()))?;
            let values = queries.vectors.rows()?;
            for (index, line) in (first..).zip(products.chunks(rows.len())) {
                let query = Query {
                    vector: values.get(index),
                    length: queries.vectors.lengths()[index],
                    id: queries.ids.as_ref().map(|ids| ids.get(queries.vectors.places()[index])),
                };
                block.admit(&query, line, (self.spec.metric, self.floor), &mut queries.heaps[index]);
            }
        }
        Ok(())
    }

    /// The neighbors of all queries, as columns `query` (32-bit: the row of its batch), `id` (as that of rows) and `score` (f64: the
    /// similarity, or the distance), best first for each query. The search has no queries afterwards.
    ///
    /// # Errors
    /// The ids do not fit one column.
    pub fn finish(&mut self) -> Result<StructArray, EngineError> {
        let (mut queries, mut found, mut scores) = (Vec::new(), Vec::<Id>::new(), Vec::new());
        if let Some(block) = self.queries.take() {
            for (place, heap) in block.vectors.places().iter().zip(block.heaps) {
                let place = i32::try_from(*place).map_err(|_| EngineError::Internal("too many queries".to_owned()))?;
                for (score, id) in heap.into_sorted() {
                    queries.push(place);
                    found.push(id);
                    scores.push(self.spec.metric.value_of(score));
                }
            }
        }
        let ids = ids::column(found, self.row_columns[0].data_type())?;
        let columns: Vec<ArrayRef> = vec![Arc::new(Int32Array::from(queries)), ids, Arc::new(Float64Array::from(scores))];
        let names = ["query", "id", "score"];
        let fields: Fields =
            names.iter().zip(&columns).map(|(name, column)| arrow_schema::Field::new(*name, column.data_type().clone(), false)).collect();
        StructArray::try_new(fields, columns, None).map_err(|error| EngineError::Internal(error.to_string()))
    }
}

/// One query.
struct Query<'a> {
    vector: &'a [f32],
    length: f64,
    /// None if the ids of neighbors are not compared with it.
    id: Option<Id>,
}

/// A block of rows.
struct Block<'a> {
    vectors: &'a Vectors,
    values: Rows<'a>,
    ids: Ids,
    screen: Screen,
}

impl Block<'_> {
    /// Puts the rows of this block that are among the best neighbors of a query into its heap. `products`: those of the query with
    /// each row. `floor`: the lowest score of a neighbor.
    fn admit(&self, query: &Query<'_>, products: &[f32], (metric, floor): (Metric, f64), heap: &mut Heap) {
        let bound = |heap: &Heap| self.screen.least(heap.worst().unwrap_or(floor).max(floor), query.length);
        let mut least = bound(heap);
        let mut from = 0;
        while let Some(at) = self.screen.next(products, from, least) {
            from = at + 1;
            let score = metric.score(query.vector, self.values.get(at), query.length, self.vectors.lengths()[at]);
            if score < floor || heap.worst().is_some_and(|worst| score < worst) {
                continue;
            }
            let id = self.ids.get(self.vectors.places()[at]);
            if query.id.as_ref().is_none_or(|own| id < *own) && heap.offer(score, id) {
                least = bound(heap);
            }
        }
    }
}

#[cfg(test)]
mod tests;

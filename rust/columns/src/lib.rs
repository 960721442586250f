//! Arrow columns in, Arrow columns out. No JVM, no libtorch: this crate turns columns from Spark into plain views and dense
//! buffers, and results into arrays that the JVM can read.
//!
//! - [`columns`](crate::column_views): typed views of one input column ([`BytesColumn`], [`TextColumn`], [`ImageColumn`]);
//! - [`dense`]: nested lists of equal lengths into one dense buffer, the data of a tensor;
//! - [`nested`]: dense buffers back into (nested) lists;
//! - [`mod@normalize`]: arrays as the JVM's importer needs them.
//!
//! Who owns what: views borrow the batch; dense buffers are the caller's; arrays built here own their memory.

mod column_views;
pub mod dense;
mod element;
mod error;
pub mod nested;
mod normalize;

pub use column_views::{BytesColumn, ImageColumn, PixelsRow, TextColumn};
pub use element::{Element, bf16, f16};
pub use error::{ColumnError, DenseError};
pub use normalize::normalize;

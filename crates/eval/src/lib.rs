//! Metrics and reports for vision-language models, on plain slices: no tensor library.
//!
//! - [`retrieval`]: recall at 1, 5 and 10 in both directions, several captions per picture, and the
//!   recall that [`chance`] alone would give;
//! - [`top_k_of_embeddings`]: exact search, and [`retrieval_of_embeddings`]: recall, both without a
//!   matrix of all scores;
//! - [`rerank`]: the two-stage ranking of fusion models, a dual encoder's shortlist re-ordered by a
//!   pair scorer;
//! - [`TaskResult`]: the JSON every evaluation writes, and a [`results_table`] a person can read;
//! - [`Report`]: one HTML file that opens without a network;
//! - [`diagnostics`]: figures that show early whether a representation collapses.
//!
//! **Ties count against the correct candidate everywhere**: a model that scores every pair alike
//! finds nothing.

pub mod diagnostics;
mod error;
mod products;
mod report;
mod rerank;
mod result;
mod retrieval;
mod rivals;
mod top_k;
mod truth;

pub use error::EvalError;
pub use report::{AttentionMap, Curve, Hit, Query, Report, search_page};
pub use rerank::{RerankConfig, Reranked, rerank};
pub use result::{TaskResult, results_table};
pub use retrieval::{Retrieval, chance, retrieval, retrieval_of_embeddings};
pub use top_k::{Candidate, top_k_of_embeddings};
pub use truth::Truth;

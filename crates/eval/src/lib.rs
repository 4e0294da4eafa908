//! Metrics and reports for vision-language models, on plain slices: no tensor library.
//!
//! - [`retrieval`]: recall at 1, 5 and 10 in both directions, several captions per picture, and the
//!   recall that [`chance`] alone would give;
//! - [`top_k_of_embeddings`]: exact search, and [`retrieval_of_embeddings`]: recall, both without a
//!   matrix of all scores;
//! - [`rerank`]: the two-stage ranking of fusion models, a dual encoder's shortlist re-ordered by a
//!   pair scorer;
//! - [`vqa()`], [`pairs()`], [`entailment()`], [`grounding()`], [`contrast()`], [`zero_shot()`] and
//!   [`LinearProbe`]: the tasks, each with the metric its data set is published with, and [`Prior`], what
//!   can be answered without looking;
//! - [`TaskResult`]: the JSON every evaluation writes, and a [`results_table`] a person can read;
//! - [`Report`]: one HTML file that opens without a network;
//! - [`diagnostics`]: figures that show early whether a representation collapses.
//!
//! **Ties count against the correct candidate everywhere**: a model that scores every pair alike
//! finds nothing.

mod ablation;
mod answerer;
mod blind;
mod by_kind;
mod contrast;
pub mod diagnostics;
mod entailment;
mod error;
mod grounding;
mod lbfgs;
mod pairs;
mod probe;
mod products;
mod report;
mod rerank;
mod result;
mod retrieval;
mod rivals;
mod spread;
mod top_k;
mod truth;
mod vqa;
mod zero_shot;

pub use ablation::{AblationTable, MetricName, Moments, PairedDifference, VariantRuns};
pub use answerer::Answerer;
pub use blind::{Prior, TypicalRegion};
pub use by_kind::{ByKind, Mean};
pub use contrast::{
    CAPTION_CHANCE, CONTRAST_CHANCE, ContrastScore, FourScores, caption_choice, contrast,
};
pub use entailment::{EntailmentScore, LABELS, entailment, label_name};
pub use error::EvalError;
pub use grounding::{Grounding, HeatMap, choose, grounding, iou};
pub use pairs::{Judged, Pairs, pairs};
pub use probe::{Features, LinearProbe, STRENGTHS};
pub use report::{
    AttentionMap, Curve, Example, Heat, Hit, Mark, Query, Report, Shown, search_page, tasks_page,
};
pub use rerank::{RerankConfig, Reranked, rerank};
pub use result::{TaskResult, results_table};
pub use retrieval::{Retrieval, chance, retrieval, retrieval_of_embeddings};
pub use spread::{Spread, spread_table};
pub use top_k::{Candidate, top_k_of_embeddings};
pub use truth::Truth;
pub use vqa::{Answered, vqa, vqa_accuracy, vqa_submission};
pub use zero_shot::{TEMPLATES, ZeroShot, class_embeddings, prompts, top_k, zero_shot};

//! Pre-training objectives: for each, its equation as a function of plain tensors, and what it asks
//! of the [`Views`] of a step.

pub mod batch;
pub mod itc;
pub mod itm;
pub mod mim;
pub mod mlm;
pub mod mrm;
pub mod negatives;
pub mod objective;
pub mod target;
pub mod views;

pub use batch::PairBatch;
pub use objective::{Loss, Objective, Objectives};
pub use views::{Embeddings, ImageView, Pass, TextView, Views};

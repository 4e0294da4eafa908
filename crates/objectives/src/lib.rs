//! Objectives of pre-training and of the tasks: for each, its equation as a function of plain tensors, and what it asks
//! of the [`Views`] of a step.

pub mod batch;
pub mod classification;
pub mod code_lookup;
pub mod concepts;
pub mod entailment;
pub mod filip;
pub mod grounding;
pub mod itc;
pub mod itm;
pub mod mcr;
pub mod mim;
pub mod mlm;
pub mod mrm;
pub mod negatives;
pub mod nlvr2;
pub mod objective;
pub mod target;
pub mod views;
pub mod vqa;
pub mod wpg;

pub use batch::PairBatch;
pub use code_lookup::CodeLookup;
pub use objective::{Loss, Objective, Objectives, Task};
pub use views::{Embeddings, ImageView, Pass, TextView, Views};

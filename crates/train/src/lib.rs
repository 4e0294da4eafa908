//! The trainer: a recipe, a model, objectives and data become a run directory.

pub mod ablation;
pub mod attention_map;
pub mod checkpoint;
pub mod codebook;
pub mod collapse;
pub mod device_batch;
pub mod evaluate;
pub mod event_file;
pub mod export;
pub mod fine_tune;
pub mod gradients;
pub mod inference;
pub mod interrupt;
pub mod memory;
pub mod metrics_log;
pub mod optimizer;
pub mod parameters;
pub mod plan;
pub mod progress;
pub mod recipe;
pub mod report;
pub mod rss;
pub mod run_dir;
pub mod schedule;
pub mod sentence;
pub mod start;
pub mod state;
pub mod step;
pub mod tasks;
pub mod trainer;
pub mod verify;

pub use recipe::Recipe;
pub use run_dir::RunDir;
pub use trainer::{Outcome, Trainer};

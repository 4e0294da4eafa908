//! Pictures and captions for pre-training: where they come from, how they are decoded, augmented,
//! tokenised and masked, and the deterministic order in which batches of them reach a trainer.
//!
//! Nothing here knows of tensors: a [`batch::Batch`] is plain host memory.

pub mod augment;
pub mod batch;
pub mod check;
pub mod codebook;
pub mod dataset;
pub mod decode;
pub mod emoji;
pub mod error;
pub mod export;
mod folder;
mod karpathy;
pub mod loader;
pub mod lock;
pub mod mask;
mod ordered;
pub mod packages;
pub mod pipeline;
pub mod preprocess;
pub mod random;
pub mod record;
pub mod regions;
pub mod row_table;
pub mod scenes;
pub mod shards;
mod split;
mod table;
pub mod tags;
pub mod tasks;
pub mod tokenizer;
mod wordpiece;

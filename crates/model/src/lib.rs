//! Vision-language models: encoders, fusion and heads put together, with their momentum twin and
//! their weights in and out.

pub mod backbone;
pub mod config;
pub mod folder;
pub mod heads;
pub mod mim_head;
pub mod model;
pub mod momentum;
pub mod published;
pub mod region_head;
pub mod tag_embeddings;
pub mod task_head;
pub mod weights;

pub use backbone::Backbone;
pub use config::{ConceptsConfig, ModelConfig};
pub use heads::{Heads, MlmHead};
pub use mim_head::{MimBlocks, MimHeadConfig};
pub use model::{Model, TEMPERATURE_RANGE};
pub use region_head::RegionHead;
pub use tag_embeddings::{TagEmbeddings, Tags};
pub use task_head::{TaskHead, TaskHeadConfig};
pub use weights::WeightsError;

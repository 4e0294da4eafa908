//! The text encoder: BERT's, and by configuration those of RoBERTa, CLIP and BLIP.

pub mod embeddings;
pub mod encoder;

pub use embeddings::{Positions, TextEmbeddings, TextEmbeddingsConfig, TextInput};
pub use encoder::{TextEncoder, TextEncoderConfig};

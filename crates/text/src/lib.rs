//! The text encoder, of BERT's type.

pub mod embeddings;
pub mod encoder;

pub use embeddings::{TextEmbeddings, TextEmbeddingsConfig};
pub use encoder::{TextEncoder, TextEncoderConfig};

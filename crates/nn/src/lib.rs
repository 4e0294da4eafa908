//! What the image, text and fusion encoders share: attention, the transformer block, the stack of
//! blocks, and seeded initialisation.

pub mod activation;
pub mod attention;
pub mod block;
pub mod config;
pub mod drop_path;
pub mod feed_forward;
pub mod index;
pub mod init;
pub mod layer_norm;
pub mod linear;
pub mod mask;
pub mod pooler;
pub mod residual;
pub mod stack;

pub use activation::Activation;
pub use attention::{MultiHeadAttention, MultiHeadAttentionConfig};
pub use block::{Memory, TransformerBlock};
pub use config::{NormPosition, TransformerConfig};
pub use drop_path::DropPath;
pub use feed_forward::{FeedForward, FeedForwardConfig};
pub use layer_norm::{LayerNorm, LayerNormConfig};
pub use linear::Linear;
pub use mask::AttentionMask;
pub use pooler::{Pooler, first_token};
pub use stack::TransformerStack;

/// A size that no model can have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{part}: {problem}")]
pub struct ConfigError {
    /// The part of the model, as the recipe names it.
    pub part: String,
    pub problem: String,
}

impl ConfigError {
    pub fn new(part: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { part: part.into(), problem: problem.into() }
    }
}

//! The text encoder.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};
use weft_nn::{ConfigError, Padding, TransformerConfig, TransformerStack};

use crate::embeddings::{TextEmbeddings, TextEmbeddingsConfig};

/// Sizes of a [`TextEncoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextEncoderConfig {
    /// Number of positions; longer captions are cut.
    pub max_tokens: usize,
    pub transformer: TransformerConfig,
}

impl TextEncoderConfig {
    /// Checks that an encoder of these sizes can exist.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.max_tokens < 3 {
            return Err(ConfigError::new(
                "model.text",
                format!("max_tokens {} leaves no room for a word", self.max_tokens),
            ));
        }
        self.transformer.validate("model.text.transformer")
    }

    /// `vocab_size` is the tokenizer's.
    pub fn init(&self, vocab_size: usize, device: &Device) -> TextEncoder {
        let embeddings = TextEmbeddingsConfig {
            vocab_size,
            max_tokens: self.max_tokens,
            width: self.transformer.width,
            dropout: self.transformer.dropout,
            norm_epsilon: self.transformer.norm_epsilon,
        };
        TextEncoder { embeddings: embeddings.init(device), stack: self.transformer.init(device) }
    }
}

/// BERT's encoder (Devlin et al. 2019), or its lower half where a fusion encoder follows.
#[derive(Module, Debug)]
pub struct TextEncoder {
    pub embeddings: TextEmbeddings,
    pub stack: TransformerStack,
}

impl TextEncoder {
    /// # Shapes
    ///
    /// - `ids`: `[batch, tokens]`
    /// - output: `[batch, tokens, width]`, the class token first
    pub fn forward(&self, ids: Tensor<2, Int>, padding: &Padding) -> Tensor<3> {
        self.stack.forward(self.embeddings.forward(ids), Some(padding))
    }
}

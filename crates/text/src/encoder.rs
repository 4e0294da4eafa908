//! The text encoder.

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor};
use serde::{Deserialize, Serialize};
use weft_nn::{AttentionMask, ConfigError, Memory, TransformerConfig, TransformerStack};

use crate::embeddings::{Positions, TextEmbeddings, TextEmbeddingsConfig, TextInput};

/// Sizes of a [`TextEncoder`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TextEncoderConfig {
    /// Number of positions; captions longer than [`longest`](Self::longest) are cut.
    pub max_tokens: usize,
    /// Kinds of segments; 0 for none. Captions are of kind 0.
    #[serde(default = "one")]
    pub token_types: usize,
    #[serde(default)]
    pub positions: Positions,
    /// Id of the padding token, whose embeddings are then not learned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub padding_id: Option<usize>,
    /// Whether the embeddings are normalised before the first block.
    #[serde(default = "yes")]
    pub embedding_norm: bool,
    /// Whether a token sees only those before it.
    #[serde(default)]
    pub causal: bool,
    pub transformer: TransformerConfig,
}

fn one() -> usize {
    1
}

fn yes() -> bool {
    true
}

impl TextEncoderConfig {
    /// BERT's encoder for single captions: one kind of segment, absolute positions.
    pub fn new(max_tokens: usize, transformer: TransformerConfig) -> Self {
        Self {
            max_tokens,
            token_types: one(),
            positions: Positions::Absolute,
            padding_id: None,
            embedding_norm: yes(),
            causal: false,
            transformer,
        }
    }

    /// Most tokens of a caption: RoBERTa's numbers begin behind the padding token's, so it has as many
    /// positions fewer.
    pub fn longest(&self) -> usize {
        match (self.positions, self.padding_id) {
            (Positions::AfterPadding, Some(padding)) => self.max_tokens.saturating_sub(padding + 1),
            _ => self.max_tokens,
        }
    }

    /// Checks that an encoder of these sizes can exist.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let fail = |problem: String| Err(ConfigError::new("model.text", problem));
        if self.longest() < 3 {
            return fail(format!("max_tokens {} leaves no room for a word", self.max_tokens));
        }
        if self.positions == Positions::AfterPadding && self.padding_id.is_none() {
            return fail("positions = \"after-padding\" needs padding_id".into());
        }
        self.transformer.validate("model.text.transformer")
    }

    /// `vocab_size` is the tokenizer's.
    pub fn init(&self, vocab_size: usize, device: &Device) -> TextEncoder {
        let embeddings = TextEmbeddingsConfig {
            vocab_size,
            max_tokens: self.max_tokens,
            token_types: self.token_types,
            positions: self.positions,
            padding_id: self.padding_id,
            width: self.transformer.width,
            norm: self.embedding_norm,
            dropout: self.transformer.dropout,
            norm_epsilon: self.transformer.norm_epsilon,
        };
        TextEncoder {
            embeddings: embeddings.init(device),
            stack: self.transformer.init(device),
            causal: self.causal,
        }
    }
}

/// BERT's encoder (Devlin et al. 2019), or its lower half where a fusion encoder follows; by its
/// configuration also those of RoBERTa, CLIP and BLIP.
#[derive(Module, Debug)]
pub struct TextEncoder {
    pub embeddings: TextEmbeddings,
    pub stack: TransformerStack,
    causal: bool,
}

impl TextEncoder {
    /// # Shapes
    ///
    /// - `ids`: `[batch, tokens]`
    /// - output: `[batch, tokens, width]`, the class token first
    pub fn forward(&self, ids: Tensor<2, Int>, padding: &AttentionMask) -> Tensor<3> {
        self.levels(ids, padding, 1).pop().expect("one level was asked for")
    }

    /// What comes out of the last `count` blocks, the lowest first, each through the stack's norm where
    /// it has one.
    ///
    /// # Shapes
    ///
    /// As [`forward`](Self::forward).
    pub fn levels(
        &self,
        ids: Tensor<2, Int>,
        padding: &AttentionMask,
        count: usize,
    ) -> Vec<Tensor<3>> {
        let mask = self.mask(&ids, Some(padding));
        self.stack.levels(self.embeddings.forward(&ids.into()), mask.as_ref(), count)
    }

    /// The embeddings and what comes out of each block: `depth + 1` states, the last one before the
    /// stack's norm. With `memory`, each block attends to it.
    ///
    /// # Shapes
    ///
    /// - `input`: `[batch, tokens]`
    /// - each state: `[batch, tokens, width]`
    pub fn states(
        &self,
        input: &TextInput,
        padding: Option<&AttentionMask>,
        memory: Option<&Memory>,
    ) -> Vec<Tensor<3>> {
        let mask = self.mask(&input.ids, padding);
        self.stack.states(self.embeddings.forward(input), mask.as_ref(), memory)
    }

    /// What attention must not see: padding, and what comes later where the encoder is causal.
    pub fn mask(
        &self,
        ids: &Tensor<2, Int>,
        padding: Option<&AttentionMask>,
    ) -> Option<AttentionMask> {
        if !self.causal {
            return padding.cloned();
        }
        let [_, tokens] = ids.dims();
        let causal = AttentionMask::causal(tokens, &ids.device());
        Some(match padding {
            Some(padding) => causal.and(padding),
            None => causal,
        })
    }
}

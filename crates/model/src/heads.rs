//! What pre-training puts on top of the encoders.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor};
use weft_kernels::{LinearCrossEntropy, linear_cross_entropy};
use weft_nn::init::linear;
use weft_nn::{Activation, FeedForward, LayerNorm, LayerNormConfig, Linear};

use crate::mim_head::MimBlocks;
use crate::region_head::RegionHead;
use crate::task_head::TaskHead;

/// The heads of the objectives.
#[derive(Module, Debug)]
pub struct Heads {
    /// From the fused class token to (no match, match).
    pub itm: Linear,
    pub mlm: MlmHead,
    /// MAMO's non-linear projector `g`, on the online side only.
    pub mrm: FeedForward,
    /// From fused patches to what MIM predicts of them: this MLP, or the blocks.
    pub mim: Option<FeedForward>,
    pub mim_blocks: Option<MimBlocks>,
    /// Of a model that knows phrases: from the text encoder's phrases to the whole embedding table.
    pub phrases: Option<MlmHead>,
    /// Of a model that knows tags: from the image encoder's tags to the whole embedding table.
    pub tags: Option<MlmHead>,
    /// Of a model that is fine-tuned for classes.
    pub task: Option<TaskHead>,
    /// Of a model that is fine-tuned for rectangles.
    pub region: Option<RegionHead>,
}

/// Configuration of [`MlmHead`].
#[derive(Debug, Clone, PartialEq)]
pub struct MlmHeadConfig {
    pub width: usize,
    pub embedding_width: usize,
    pub vocab_size: usize,
    pub activation: Activation,
    pub norm_epsilon: f64,
}

/// BERT's masked-word head: a layer, a norm, and the word embeddings themselves as output weights.
#[derive(Module, Debug)]
pub struct MlmHead {
    pub transform: Linear,
    pub norm: LayerNorm,
    pub bias: Param<Tensor<1>>,
    #[module(skip)]
    activation: Activation,
}

impl MlmHeadConfig {
    /// The head as BERT has it.
    pub fn new(width: usize, embedding_width: usize, vocab_size: usize) -> Self {
        let activation = Activation::Gelu;
        Self { width, embedding_width, vocab_size, activation, norm_epsilon: 1e-12 }
    }

    pub fn init(&self, device: &Device) -> MlmHead {
        MlmHead {
            transform: linear(self.width, self.embedding_width, device),
            norm: LayerNormConfig { width: self.embedding_width, epsilon: self.norm_epsilon }
                .init(device),
            bias: Initializer::Zeros.init([self.vocab_size], device),
            activation: self.activation,
        }
    }
}

impl MlmHead {
    /// Logits over the vocabulary.
    ///
    /// # Shapes
    ///
    /// - `x`: `[items, width]`
    /// - `word_embeddings`: `[vocab_size, embedding_width]`
    /// - output: `[items, vocab_size]`
    pub fn forward(&self, x: Tensor<2>, word_embeddings: Tensor<2>) -> Tensor<2> {
        self.hidden(x).matmul(word_embeddings.transpose()) + self.bias.val().unsqueeze_dim::<2>(0)
    }

    /// The cross-entropy of the logits for `words`, and the most probable words. The logits need not
    /// stand in memory for it.
    ///
    /// # Shapes
    ///
    /// - `x`: `[items, width]`
    /// - `word_embeddings`: `[vocab_size, embedding_width]`
    /// - `words`: `[items]`
    ///
    /// # Panics
    ///
    /// Without items.
    pub fn loss(
        &self,
        x: Tensor<2>,
        word_embeddings: Tensor<2>,
        words: Tensor<1, Int>,
    ) -> LinearCrossEntropy {
        linear_cross_entropy(self.hidden(x), word_embeddings, self.bias.val(), words)
    }

    /// Rows of the embedding table that it chooses among: the first ones.
    pub fn vocab_size(&self) -> usize {
        let [rows] = self.bias.dims();
        rows
    }

    /// What is multiplied by the word embeddings, `[items, embedding_width]`.
    fn hidden(&self, x: Tensor<2>) -> Tensor<2> {
        self.norm.forward(self.transform.forward_activated(x, self.activation))
    }
}

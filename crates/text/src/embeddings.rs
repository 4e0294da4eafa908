//! From token ids to vectors.

use burn::module::{Module, Param};
use burn::nn::{Dropout, DropoutConfig, Embedding, EmbeddingConfig};
use burn::tensor::{Device, Int, Tensor};
use weft_nn::init::normal;
use weft_nn::{LayerNorm, LayerNormConfig};

/// Configuration of [`TextEmbeddings`].
#[derive(Debug, Clone, PartialEq)]
pub struct TextEmbeddingsConfig {
    pub vocab_size: usize,
    pub max_tokens: usize,
    pub width: usize,
    pub dropout: f64,
    pub norm_epsilon: f64,
}

/// `norm(word + position + type)` (Devlin et al. 2019, section 3), all of type 0.
#[derive(Module, Debug)]
pub struct TextEmbeddings {
    pub word: Embedding,
    pub position: Param<Tensor<2>>,
    pub token_type: Param<Tensor<2>>,
    pub norm: LayerNorm,
    pub dropout: Dropout,
}

impl TextEmbeddingsConfig {
    pub fn init(&self, device: &Device) -> TextEmbeddings {
        let Self { vocab_size, max_tokens, width, .. } = *self;
        TextEmbeddings {
            word: EmbeddingConfig::new(vocab_size, width).with_initializer(normal()).init(device),
            position: normal().init([max_tokens, width], device),
            token_type: normal().init([1, width], device),
            norm: LayerNormConfig { width, epsilon: self.norm_epsilon }.init(device),
            dropout: DropoutConfig::new(self.dropout).init(),
        }
    }
}

impl TextEmbeddings {
    /// # Shapes
    ///
    /// - `ids`: `[batch, tokens]`
    /// - output: `[batch, tokens, width]`
    pub fn forward(&self, ids: Tensor<2, Int>) -> Tensor<3> {
        let [_, tokens] = ids.dims();
        // Positions are a slice, not a lookup, whose backward pass is serial on a GPU.
        let position = self.position.val().narrow(0, 0, tokens) + self.token_type.val();
        let x = self.word.forward(ids) + position.unsqueeze_dim::<3>(0);
        self.dropout.forward(self.norm.forward(x))
    }
}

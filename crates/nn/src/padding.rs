//! Which positions of a batch of sequences are padding.

use burn::tensor::{Bool, Device, Tensor};

/// Added to the score of a padded key: its weight is exactly zero after softmax, and the sum of two
/// such numbers is still finite in f32.
const PADDED_SCORE: f32 = -1.0e9;

/// Padding of the keys of attention, made once per batch and used by every layer.
#[derive(Debug, Clone)]
pub struct Padding {
    bias: Tensor<4>,
}

impl Padding {
    /// From `mask`, `[batch, tokens]`, true where a position is padding.
    pub fn new(mask: Tensor<2, Bool>) -> Self {
        let [batch, tokens] = mask.dims();
        let bias = mask.float() * PADDED_SCORE;
        Self { bias: bias.reshape([batch, 1, 1, tokens]) }
    }

    /// From what is added to the scores, `[batch, 1, 1, tokens]`.
    pub fn from_bias(bias: Tensor<4>) -> Self {
        Self { bias }
    }

    /// The same padding behind `count` positions that are never padding.
    pub fn behind(&self, count: usize, device: &Device) -> Self {
        let [batch, _, _, _] = self.bias.dims();
        let front = Tensor::zeros([batch, 1, 1, count], device);
        Self { bias: Tensor::cat(vec![front, self.bias.clone()], 3) }
    }

    /// What is added to the scores, `[batch, 1, 1, tokens]`.
    pub fn bias(&self) -> Tensor<4> {
        self.bias.clone()
    }
}

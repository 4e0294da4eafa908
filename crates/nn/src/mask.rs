//! Which keys attention must not see.

use std::ops::Range;

use burn::tensor::{Bool, Device, Int, Tensor, TensorData};

/// Added to the score of a hidden key. It swallows any score: the key's weight is exactly zero after
/// softmax, and where a query sees nothing all keys weigh the same.
const HIDDEN_SCORE: f32 = f32::MIN;

/// Hidden keys of attention, made once per batch and used by every layer.
#[derive(Debug, Clone)]
pub struct AttentionMask {
    bias: Tensor<4>,
}

impl AttentionMask {
    /// From `mask`, `[batch, tokens]`, true where a position is padding.
    pub fn padding(mask: Tensor<2, Bool>) -> Self {
        let [batch, tokens] = mask.dims();
        let bias = mask.float() * HIDDEN_SCORE;
        Self { bias: bias.reshape([batch, 1, 1, tokens]) }
    }

    /// Each of `tokens` positions sees itself and those before it.
    pub fn causal(tokens: usize, device: &Device) -> Self {
        let hidden =
            |index: usize| if index % tokens > index / tokens { HIDDEN_SCORE } else { 0.0 };
        let bias: Vec<f32> = (0..tokens * tokens).map(hidden).collect();
        Self { bias: Tensor::from_data(TensorData::new(bias, [1, 1, tokens, tokens]), device) }
    }

    /// From what is added to the scores, `[batch or 1, 1, queries or 1, keys]`.
    pub fn from_bias(bias: Tensor<4>) -> Self {
        Self { bias }
    }

    /// What this mask hides and what `other` hides.
    pub fn and(&self, other: &Self) -> Self {
        // Hidden twice is not more hidden, and two such numbers are no number.
        let bias = self.bias.clone() + other.bias.clone();
        Self { bias: bias.clamp_min(HIDDEN_SCORE) }
    }

    /// The same padding behind `count` positions that are never padding.
    pub fn behind(&self, count: usize, device: &Device) -> Self {
        let [batch, _, rows, _] = self.bias.dims();
        let front = Tensor::zeros([batch, 1, rows, count], device);
        Self { bias: front }.before(self)
    }

    /// The keys of this mask and then those of `other`, of the same batch and queries.
    pub fn before(&self, other: &Self) -> Self {
        Self { bias: Tensor::cat(vec![self.bias.clone(), other.bias.clone()], 3) }
    }

    /// The mask of the queries `rows` alone.
    pub fn queries(&self, rows: &Range<usize>) -> Self {
        let [_, _, queries, _] = self.bias.dims();
        match queries {
            1 => self.clone(),
            _ => Self { bias: self.bias.clone().narrow(2, rows.start, rows.len()) },
        }
    }

    /// The mask of the examples `rows`.
    pub fn select(&self, rows: &Tensor<1, Int>) -> Self {
        Self { bias: self.bias.clone().select(0, rows.clone()) }
    }

    /// The examples of `parts` behind one another.
    pub fn cat(parts: Vec<Self>) -> Self {
        Self { bias: Tensor::cat(parts.into_iter().map(|part| part.bias).collect(), 0) }
    }

    /// What is added to the scores, `[batch or 1, 1, queries or 1, keys]`.
    pub fn bias(&self) -> Tensor<4> {
        self.bias.clone()
    }
}

//! Multi-head attention.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor};
use weft_kernels::{attention, attention_with_weights};

use crate::init::{linear, linear_without_bias};
use crate::linear::Linear;
use crate::mask::AttentionMask;

/// Configuration of [`MultiHeadAttention`].
#[derive(Debug, Clone, PartialEq)]
pub struct MultiHeadAttentionConfig {
    pub width: usize,
    /// Width of what keys and values are made of.
    pub memory_width: usize,
    pub heads: usize,
    /// Whether queries, keys and values have a bias; the output always has.
    pub qkv_bias: bool,
    /// Dropout of the output.
    pub dropout: f64,
}

/// `Concat(head_1, ..., head_h) W_o` with `head_i = attention(q W_q_i, k W_k_i, v W_v_i)` (Vaswani
/// et al. 2017, section 3.2.2).
#[derive(Module, Debug)]
pub struct MultiHeadAttention {
    pub query: Linear,
    pub key: Linear,
    pub value: Linear,
    pub output: Linear,
    pub dropout: Dropout,
    heads: usize,
}

impl MultiHeadAttentionConfig {
    /// Self-attention over tokens of `width`, without dropout.
    pub fn new(width: usize, heads: usize) -> Self {
        Self { width, memory_width: width, heads, qkv_bias: true, dropout: 0.0 }
    }

    /// The width must be a multiple of the heads; the encoders' configurations check it.
    pub fn init(&self, device: &Device) -> MultiHeadAttention {
        let projection = |input| match self.qkv_bias {
            true => linear(input, self.width, device),
            false => linear_without_bias(input, self.width, device),
        };
        MultiHeadAttention {
            query: projection(self.width),
            key: projection(self.memory_width),
            value: projection(self.memory_width),
            output: linear(self.width, self.width, device),
            dropout: DropoutConfig::new(self.dropout).init(),
            heads: self.heads,
        }
    }
}

impl MultiHeadAttention {
    /// Attends from `x` to `memory` (to `x` itself for self-attention).
    ///
    /// # Shapes
    ///
    /// - `x` and the output: `[batch, queries, width]`
    /// - `memory`: `[batch, keys, memory_width]`
    /// - `mask`: of the keys
    pub fn forward(
        &self,
        x: Tensor<3>,
        memory: Tensor<3>,
        mask: Option<&AttentionMask>,
    ) -> Tensor<3> {
        let bias = mask.map(AttentionMask::bias);
        let [q, k, v] = self.project(x, memory);
        self.finish(attention(q, k, v, self.heads, bias))
    }

    /// As [`forward`](Self::forward), with the attention weights `[batch, heads, queries, keys]`;
    /// `probe` as [`attention_with_weights`] has it.
    pub fn forward_with_weights(
        &self,
        x: Tensor<3>,
        memory: Tensor<3>,
        mask: Option<&AttentionMask>,
        probe: Option<Tensor<4>>,
    ) -> (Tensor<3>, Tensor<4>) {
        let bias = mask.map(AttentionMask::bias);
        let [q, k, v] = self.project(x, memory);
        let (context, weights) = attention_with_weights(q, k, v, self.heads, bias, probe);
        (self.finish(context), weights)
    }

    /// Number of heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Queries, keys and values; the heads lie beside one another in the width.
    fn project(&self, x: Tensor<3>, memory: Tensor<3>) -> [Tensor<3>; 3] {
        let k = self.key.forward(memory.clone());
        [self.query.forward(x), k, self.value.forward(memory)]
    }

    fn finish(&self, context: Tensor<3>) -> Tensor<3> {
        self.dropout.forward(self.output.forward(context))
    }
}

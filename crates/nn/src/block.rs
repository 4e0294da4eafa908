//! The transformer block.

use std::ops::Range;

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};

use crate::attention::{MultiHeadAttention, MultiHeadAttentionConfig};
use crate::config::{NormPosition, TransformerConfig};
use crate::drop_path::DropPath;
use crate::feed_forward::{FeedForward, FeedForwardConfig};
use crate::layer_norm::{LayerNorm, LayerNormConfig};
use crate::mask::AttentionMask;
use crate::residual::Residual;

/// Self-attention, cross-attention where the block has it, and a feed-forward network, each with a
/// norm and a residual connection (Vaswani et al. 2017, section 3.1; pre-norm as in Dosovitskiy et
/// al. 2021).
#[derive(Module, Debug)]
pub struct TransformerBlock {
    pub attention: MultiHeadAttention,
    pub attention_norm: LayerNorm,
    pub cross_attention: Option<CrossAttention>,
    pub feed_forward: FeedForward,
    pub feed_forward_norm: LayerNorm,
    pub attention_scale: Option<LayerScale>,
    pub feed_forward_scale: Option<LayerScale>,
    pub drop_path: DropPath,
    #[module(skip)]
    position: NormPosition,
}

/// Attention from a block's tokens to those of another encoder, behind self-attention (Vaswani et al.
/// 2017, section 3.1; ALBEF and BLIP for a picture).
#[derive(Module, Debug)]
pub struct CrossAttention {
    pub attention: MultiHeadAttention,
    pub norm: LayerNorm,
}

/// A learned factor of each channel of a residual branch (LayerScale: Touvron et al. 2021, "Going
/// deeper with image transformers").
#[derive(Module, Debug)]
pub struct LayerScale {
    pub factor: Param<Tensor<1>>,
}

/// What cross-attention attends to.
#[derive(Debug, Clone)]
pub struct Memory {
    /// `[batch, keys, memory_width]`
    pub tokens: Tensor<3>,
    pub mask: Option<AttentionMask>,
}

impl TransformerBlock {
    pub(crate) fn new(config: &TransformerConfig, drop_path: f64, device: &Device) -> Self {
        let width = config.width;
        let norm = || LayerNormConfig { width, epsilon: config.norm_epsilon }.init(device);
        let scale = || config.layer_scale.map(|initial| LayerScale::new(width, initial, device));
        let attention = |memory_width| {
            let config = MultiHeadAttentionConfig {
                width,
                memory_width,
                heads: config.heads,
                qkv_bias: config.qkv_bias,
                dropout: config.dropout,
            };
            config.init(device)
        };
        let feed_forward = FeedForwardConfig {
            width,
            hidden: config.hidden(),
            output: width,
            activation: config.activation,
            gated: config.gated,
            dropout: config.dropout,
        };
        TransformerBlock {
            attention: attention(width),
            attention_norm: norm(),
            cross_attention: config
                .memory_width
                .map(|memory| CrossAttention { attention: attention(memory), norm: norm() }),
            feed_forward: feed_forward.init(device),
            feed_forward_norm: norm(),
            attention_scale: scale(),
            feed_forward_scale: scale(),
            drop_path: DropPath::new(drop_path),
            position: config.norm,
        }
    }

    /// Without memory: a block that has cross-attention leaves it out.
    ///
    /// # Shapes
    ///
    /// - input and output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>, mask: Option<&AttentionMask>) -> Tensor<3> {
        self.advance(x.into(), mask).sum()
    }

    /// As [`forward`](Self::forward), from and to the stream that runs through a stack.
    pub(crate) fn advance(&self, x: Residual, mask: Option<&AttentionMask>) -> Residual {
        self.feed(self.attend(x, mask))
    }

    /// As [`advance`](Self::advance), for the tokens `rows` alone: all are attended to, but what the
    /// others become is not computed.
    pub(crate) fn advance_rows(
        &self,
        x: Residual,
        mask: Option<&AttentionMask>,
        rows: &Range<usize>,
    ) -> Residual {
        let mask = mask.map(|mask| mask.queries(rows));
        let narrow = |x: Tensor<3>| x.narrow(1, rows.start, rows.len());
        let (norm, scale) = (&self.attention_norm, &self.attention_scale);
        let x = self.residual(x, norm, scale, Some(rows), |x| {
            self.attention.forward(narrow(x.clone()), x, mask.as_ref())
        });
        self.feed(x)
    }

    /// As [`forward`](Self::forward), attending to `memory` behind self-attention.
    ///
    /// # Panics
    ///
    /// If the block has no cross-attention.
    pub fn forward_with_memory(
        &self,
        x: Tensor<3>,
        mask: Option<&AttentionMask>,
        memory: &Memory,
    ) -> Tensor<3> {
        self.forward_crossing(x, mask, None, |cross, x| {
            cross.forward(x, memory.tokens.clone(), memory.mask.as_ref())
        })
    }

    /// As [`forward`](Self::forward), with a cross-attention of the caller's making behind
    /// self-attention: `branch` is given the block's own and the tokens, and its output is added to
    /// them. With `rows`, the feed-forward network is computed for these tokens alone, and they are the
    /// output.
    ///
    /// # Panics
    ///
    /// If the block has no cross-attention.
    pub fn forward_crossing(
        &self,
        x: Tensor<3>,
        mask: Option<&AttentionMask>,
        rows: Option<&Range<usize>>,
        branch: impl FnOnce(&MultiHeadAttention, Tensor<3>) -> Tensor<3>,
    ) -> Tensor<3> {
        let cross = self.cross_attention.as_ref().expect("a block with cross-attention");
        let x = self.residual(self.attend(x.into(), mask), &cross.norm, &None, None, |x| {
            branch(&cross.attention, x)
        });
        let x = match rows {
            Some(rows) => x.rows(rows),
            None => x,
        };
        self.feed(x).sum()
    }

    /// As [`forward`](Self::forward), with the attention weights `[batch, heads, tokens, tokens]`;
    /// `probe` as [`weft_kernels::attention_with_weights`] has it.
    pub fn forward_with_weights(
        &self,
        x: Tensor<3>,
        mask: Option<&AttentionMask>,
        probe: Option<Tensor<4>>,
    ) -> (Tensor<3>, Tensor<4>) {
        let mut weights = None;
        let x = self.residual(x.into(), &self.attention_norm, &self.attention_scale, None, |x| {
            let (attended, found) = self.attention.forward_with_weights(x.clone(), x, mask, probe);
            weights = Some(found);
            attended
        });
        (self.feed(x).sum(), weights.expect("the branch was run"))
    }

    fn attend(&self, x: Residual, mask: Option<&AttentionMask>) -> Residual {
        self.residual(x, &self.attention_norm, &self.attention_scale, None, |x| {
            self.attention.forward(x.clone(), x, mask)
        })
    }

    fn feed(&self, x: Residual) -> Residual {
        self.residual(x, &self.feed_forward_norm, &self.feed_forward_scale, None, |x| {
            self.feed_forward.forward(x)
        })
    }

    /// `x + scale branch(norm(x))`, or `norm(x + scale branch(x))`; with `rows`, the branch is of these
    /// tokens alone, and so is the output.
    fn residual(
        &self,
        x: Residual,
        norm: &LayerNorm,
        scale: &Option<LayerScale>,
        rows: Option<&Range<usize>>,
        branch: impl FnOnce(Tensor<3>) -> Tensor<3>,
    ) -> Residual {
        let branch = |x| {
            let output = branch(x);
            let output = match scale {
                Some(scale) => scale.forward(output),
                None => output,
            };
            self.drop_path.forward(output)
        };
        let kept = |x: Residual| match rows {
            Some(rows) => x.rows(rows),
            None => x,
        };
        match self.position {
            NormPosition::Pre => {
                let (x, normed) = x.normed(norm);
                kept(x).plus(branch(normed))
            }
            NormPosition::Post => {
                let x = x.sum();
                let own = kept(Residual::new(x.clone()));
                let (_, normed) = own.plus(branch(x)).normed(norm);
                normed.into()
            }
        }
    }
}

impl LayerScale {
    fn new(width: usize, initial: f64, device: &Device) -> Self {
        Self { factor: Initializer::Constant { value: initial }.init([width], device) }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x * self.factor.val().unsqueeze::<3>()
    }
}

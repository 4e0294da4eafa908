//! The transformer block.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::ConfigError;
use crate::activation::Activation;
use crate::attention::{MultiHeadAttention, MultiHeadAttentionConfig};
use crate::drop_path::DropPath;
use crate::feed_forward::{FeedForward, FeedForwardConfig};
use crate::layer_norm::{LayerNorm, LayerNormConfig};
use crate::padding::Padding;
use crate::stack::TransformerStack;

/// Where a block normalises.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NormPosition {
    /// `x + f(norm(x))`, as ViT. The stack ends in a norm of its own.
    Pre,
    /// `norm(x + f(x))`, as BERT.
    Post,
}

/// Sizes of a stack of transformer blocks.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransformerConfig {
    /// Width of a token.
    pub width: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Number of attention heads; a divisor of the width.
    pub heads: usize,
    /// Hidden width of the feed-forward network, in widths.
    #[serde(default = "defaults::mlp_ratio")]
    pub mlp_ratio: f64,
    pub norm: NormPosition,
    #[serde(default)]
    pub activation: Activation,
    /// Dropout of the output of attention and of the feed-forward network.
    #[serde(default)]
    pub dropout: f64,
    /// Stochastic depth of the last block; the first has none, the others lie between.
    #[serde(default)]
    pub drop_path: f64,
    #[serde(default = "defaults::norm_epsilon")]
    pub norm_epsilon: f64,
}

mod defaults {
    pub fn mlp_ratio() -> f64 {
        4.0
    }

    pub fn norm_epsilon() -> f64 {
        1e-6
    }
}

impl TransformerConfig {
    /// A stack of these sizes with the published defaults: four widths in the feed-forward network,
    /// exact GELU, nothing dropped.
    pub fn new(width: usize, depth: usize, heads: usize, norm: NormPosition) -> Self {
        Self {
            width,
            depth,
            heads,
            mlp_ratio: defaults::mlp_ratio(),
            norm,
            activation: Activation::default(),
            dropout: 0.0,
            drop_path: 0.0,
            norm_epsilon: defaults::norm_epsilon(),
        }
    }

    /// Checks that a stack of these sizes can exist. `part` names it in the error.
    pub fn validate(&self, part: &str) -> Result<(), ConfigError> {
        let fail = |problem: String| Err(ConfigError::new(part, problem));
        if self.width == 0 || self.heads == 0 || self.depth == 0 {
            return fail("width, depth and heads must be at least 1".into());
        }
        if !self.width.is_multiple_of(self.heads) {
            return fail(format!("width {} is not a multiple of heads {}", self.width, self.heads));
        }
        if self.mlp_ratio * (self.width as f64) < 1.0 {
            return fail(format!("mlp_ratio {} leaves no hidden width", self.mlp_ratio));
        }
        for (name, rate) in [("dropout", self.dropout), ("drop_path", self.drop_path)] {
            if !(0.0..1.0).contains(&rate) {
                return fail(format!("{name} {rate} is not in [0, 1)"));
            }
        }
        Ok(())
    }

    /// The whole stack.
    pub fn init(&self, device: &Device) -> TransformerStack {
        TransformerStack::new(self, device)
    }

    /// The block at `layer`, counted from 0.
    pub fn init_block(&self, layer: usize, device: &Device) -> TransformerBlock {
        let norm =
            || LayerNormConfig { width: self.width, epsilon: self.norm_epsilon }.init(device);
        let rate = match self.depth {
            0 | 1 => self.drop_path,
            depth => self.drop_path * layer as f64 / (depth - 1) as f64,
        };
        let attention = MultiHeadAttentionConfig {
            width: self.width,
            heads: self.heads,
            dropout: self.dropout,
        };
        let feed_forward = FeedForwardConfig {
            width: self.width,
            hidden: (self.width as f64 * self.mlp_ratio) as usize,
            output: self.width,
            activation: self.activation,
            dropout: self.dropout,
        };
        TransformerBlock {
            attention: attention.init(device),
            attention_norm: norm(),
            feed_forward: feed_forward.init(device),
            feed_forward_norm: norm(),
            drop_path: DropPath::new(rate),
            position: self.norm,
        }
    }
}

/// Self-attention and a feed-forward network, each with a norm and a residual connection (Vaswani et
/// al. 2017, section 3.1; pre-norm as in Dosovitskiy et al. 2021).
#[derive(Module, Debug)]
pub struct TransformerBlock {
    pub attention: MultiHeadAttention,
    pub attention_norm: LayerNorm,
    pub feed_forward: FeedForward,
    pub feed_forward_norm: LayerNorm,
    pub drop_path: DropPath,
    #[module(skip)]
    position: NormPosition,
}

impl TransformerBlock {
    /// # Shapes
    ///
    /// - input and output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>, padding: Option<&Padding>) -> Tensor<3> {
        let normed = self.before_attention(x.clone());
        let attended = self.attention.forward(normed.clone(), normed, padding);
        self.after_attention(x, attended)
    }

    /// As [`forward`](Self::forward), with the attention weights `[batch, heads, tokens, tokens]`.
    pub fn forward_with_weights(
        &self,
        x: Tensor<3>,
        padding: Option<&Padding>,
    ) -> (Tensor<3>, Tensor<4>) {
        let normed = self.before_attention(x.clone());
        let (attended, weights) =
            self.attention.forward_with_weights(normed.clone(), normed, padding);
        (self.after_attention(x, attended), weights)
    }

    fn before_attention(&self, x: Tensor<3>) -> Tensor<3> {
        match self.position {
            NormPosition::Pre => self.attention_norm.forward(x),
            NormPosition::Post => x,
        }
    }

    /// The residual connection of attention and the feed-forward network.
    fn after_attention(&self, x: Tensor<3>, attended: Tensor<3>) -> Tensor<3> {
        let x = x + self.drop_path.forward(attended);
        match self.position {
            NormPosition::Pre => {
                let fed = self.feed_forward.forward(self.feed_forward_norm.forward(x.clone()));
                x + self.drop_path.forward(fed)
            }
            NormPosition::Post => {
                let x = self.attention_norm.forward(x);
                let fed = self.feed_forward.forward(x.clone());
                self.feed_forward_norm.forward(x + self.drop_path.forward(fed))
            }
        }
    }
}

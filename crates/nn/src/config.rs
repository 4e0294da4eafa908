//! Sizes of a stack of transformer blocks.

use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::ConfigError;
use crate::activation::Activation;
use crate::block::TransformerBlock;
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
    /// Whether the feed-forward network is gated (SwiGLU).
    #[serde(default)]
    pub gated: bool,
    /// Whether queries, keys and values have a bias.
    #[serde(default = "defaults::qkv_bias")]
    pub qkv_bias: bool,
    /// Where the learned factor of each residual branch starts; without it there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer_scale: Option<f64>,
    /// Width of what the blocks attend to behind self-attention; without it they don't.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_width: Option<usize>,
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

    pub fn qkv_bias() -> bool {
        true
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
            gated: false,
            qkv_bias: defaults::qkv_bias(),
            layer_scale: None,
            memory_width: None,
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
        if self.hidden() == 0 {
            return fail(format!("mlp_ratio {} leaves no hidden width", self.mlp_ratio));
        }
        for (name, rate) in [("dropout", self.dropout), ("drop_path", self.drop_path)] {
            if !(0.0..1.0).contains(&rate) {
                return fail(format!("{name} {rate} is not in [0, 1)"));
            }
        }
        Ok(())
    }

    /// Hidden width of the feed-forward network. Rounded, so that the quotient of two widths gives
    /// the first of them back.
    pub fn hidden(&self) -> usize {
        (self.width as f64 * self.mlp_ratio).round() as usize
    }

    /// The whole stack.
    pub fn init(&self, device: &Device) -> TransformerStack {
        TransformerStack::new(self, device)
    }

    /// The block at `layer`, counted from 0.
    pub fn init_block(&self, layer: usize, device: &Device) -> TransformerBlock {
        let drop_path = match self.depth {
            0 | 1 => self.drop_path,
            depth => self.drop_path * layer as f64 / (depth - 1) as f64,
        };
        TransformerBlock::new(self, drop_path, device)
    }
}

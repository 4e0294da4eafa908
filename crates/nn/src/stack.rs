//! A stack of transformer blocks.

use std::ops::Range;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::block::{Memory, TransformerBlock};
use crate::config::{NormPosition, TransformerConfig};
use crate::layer_norm::{LayerNorm, LayerNormConfig};
use crate::mask::AttentionMask;
use crate::residual::Residual;

/// The one encoder stack of weft: image, text and fusion encoders differ in what they put in front
/// of it.
#[derive(Module, Debug)]
pub struct TransformerStack {
    pub blocks: Vec<TransformerBlock>,
    /// The last norm of a pre-norm stack; a post-norm block has normalised already.
    pub norm: Option<LayerNorm>,
}

impl TransformerStack {
    pub(crate) fn new(config: &TransformerConfig, device: &Device) -> Self {
        Self {
            blocks: (0..config.depth).map(|layer| config.init_block(layer, device)).collect(),
            norm: (config.norm == NormPosition::Pre).then(|| {
                LayerNormConfig { width: config.width, epsilon: config.norm_epsilon }.init(device)
            }),
        }
    }

    /// # Shapes
    ///
    /// - input and output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>, mask: Option<&AttentionMask>) -> Tensor<3> {
        self.levels(x, mask, 1).pop().expect("one level was asked for")
    }

    /// The tokens `rows` of [`forward`](Self::forward)'s output: the last block computes no others.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, tokens, width]`
    /// - output: `[batch, rows, width]`
    pub fn forward_rows(
        &self,
        x: Tensor<3>,
        mask: Option<&AttentionMask>,
        rows: Range<usize>,
    ) -> Tensor<3> {
        let x = Residual::from(x);
        let x = match self.blocks.split_last() {
            Some((last, below)) => {
                let x = below.iter().fold(x, |x, block| block.advance(x, mask));
                last.advance_rows(x, mask, &rows)
            }
            None => x.rows(&rows),
        };
        self.end(x)
    }

    /// What comes out of the last `count` blocks, the lowest first, each through the stack's norm where
    /// it has one (as BridgeTower reads CLIP); the last one is [`forward`](Self::forward)'s.
    ///
    /// # Shapes
    ///
    /// - input and each output: `[batch, tokens, width]`
    pub fn levels(
        &self,
        x: Tensor<3>,
        mask: Option<&AttentionMask>,
        count: usize,
    ) -> Vec<Tensor<3>> {
        let mut x = Residual::from(x);
        let mut levels = Vec::with_capacity(count);
        for (at, block) in self.blocks.iter().enumerate() {
            x = block.advance(x, mask);
            let above = self.blocks.len() - 1 - at;
            if (1..count).contains(&above) {
                let state = x.sum();
                levels.push(self.finish(state.clone()));
                x = state.into();
            }
        }
        levels.push(self.end(x));
        levels
    }

    /// What goes into the first block and what comes out of each: `depth + 1` states, the last one
    /// before the stack's norm. With `memory`, each block attends to it.
    ///
    /// # Shapes
    ///
    /// - input and each state: `[batch, tokens, width]`
    pub fn states(
        &self,
        x: Tensor<3>,
        mask: Option<&AttentionMask>,
        memory: Option<&Memory>,
    ) -> Vec<Tensor<3>> {
        let mut states = vec![x.clone()];
        let mut x = x;
        for block in &self.blocks {
            x = match memory {
                Some(memory) => block.forward_with_memory(x, mask, memory),
                None => block.forward(x, mask),
            };
            states.push(x.clone());
        }
        states
    }

    /// As [`forward`](Self::forward), with the attention weights of each block, `[batch, heads,
    /// tokens, tokens]`.
    pub fn forward_with_weights(
        &self,
        mut x: Tensor<3>,
        mask: Option<&AttentionMask>,
    ) -> (Tensor<3>, Vec<Tensor<4>>) {
        let mut all = Vec::with_capacity(self.blocks.len());
        for block in &self.blocks {
            let (next, weights) = block.forward_with_weights(x, mask, None);
            x = next;
            all.push(weights);
        }
        (self.finish(x), all)
    }

    /// As [`forward`](Self::forward), with the attention weights of block `layer`, to which `probe`
    /// is added as [`weft_kernels::attention_with_weights`] has it.
    ///
    /// # Panics
    ///
    /// Without such a block.
    pub fn forward_probed(
        &self,
        mut x: Tensor<3>,
        mask: Option<&AttentionMask>,
        layer: usize,
        probe: Tensor<4>,
    ) -> (Tensor<3>, Tensor<4>) {
        for block in &self.blocks[..layer] {
            x = block.forward(x, mask);
        }
        let (mut x, weights) = self.blocks[layer].forward_with_weights(x, mask, Some(probe));
        for block in &self.blocks[layer + 1..] {
            x = block.forward(x, mask);
        }
        (self.finish(x), weights)
    }

    /// What comes out of the last block, through the stack's norm where it has one.
    fn end(&self, x: Residual) -> Tensor<3> {
        match &self.norm {
            Some(norm) => x.normed(norm).1,
            None => x.sum(),
        }
    }

    /// The stack's own norm, where it has one.
    pub fn finish(&self, x: Tensor<3>) -> Tensor<3> {
        self.end(x.into())
    }
}

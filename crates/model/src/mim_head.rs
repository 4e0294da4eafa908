//! What masked image modelling predicts patches with.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use weft_nn::init::linear;
use weft_nn::{ConfigError, Linear, TransformerConfig, TransformerStack};

use crate::heads::Heads;

/// Sizes of the head of MIM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MimHeadConfig {
    /// Transformer blocks; 0 for an MLP.
    pub depth: usize,
    /// Numbers that are predicted of each patch.
    pub output: usize,
}

impl MimHeadConfig {
    /// Checks that a head of these sizes can exist.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if self.output == 0 {
            return Err(ConfigError::new("model.mim_head", "output must be at least 1"));
        }
        Ok(())
    }

    /// The blocks, of the fusion encoder's width and heads, where there are some.
    pub(crate) fn blocks(&self, fusion: &TransformerConfig, device: &Device) -> Option<MimBlocks> {
        let stack = TransformerConfig { depth: self.depth, memory_width: None, ..fusion.clone() };
        (self.depth > 0).then(|| MimBlocks {
            stack: stack.init(device),
            output: linear(fusion.width, self.output, device),
        })
    }
}

/// A head that sees all patches of a picture before it predicts the hidden ones (MAMO, Table 10, which
/// has one to six blocks; that they see patches alone, and no words, is our reading).
#[derive(Module, Debug)]
pub struct MimBlocks {
    pub stack: TransformerStack,
    pub output: Linear,
}

impl Heads {
    /// What the head of MIM makes of fused patches while it still sees all of them: the patches
    /// themselves, where it is an MLP.
    ///
    /// # Shapes
    ///
    /// - input and output: `[batch, patches, width]`
    pub fn mim_patches(&self, patches: Tensor<3>) -> Tensor<3> {
        match &self.mim_blocks {
            Some(blocks) => blocks.stack.forward(patches, None),
            None => patches,
        }
    }

    /// What it predicts of those that are hidden.
    ///
    /// # Shapes
    ///
    /// - `hidden`: of [`mim_patches`](Self::mim_patches), `[hidden patches, width]`
    /// - output: `[hidden patches, output]`
    pub fn mim_prediction(&self, hidden: Tensor<2>) -> Tensor<2> {
        match (&self.mim, &self.mim_blocks) {
            (Some(mlp), _) => mlp.forward(hidden),
            (None, Some(blocks)) => blocks.output.forward(hidden),
            (None, None) => unreachable!("a model is made with a head of MIM"),
        }
    }
}

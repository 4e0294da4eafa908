//! U3: one cross-attention to the tokens of all levels.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use weft_nn::init::normal;
use weft_nn::{AttentionMask, LayerNorm, LayerNormConfig, Memory};

use crate::attend::Crossing;
use crate::mixture::{Reading, level_norms, normed};

/// Our third reading of UNIMO-3's abstract: the levels stand beside one another as keys and values, each
/// marked by an embedding, and attention itself chooses. It costs as many keys as there are levels.
///
/// ```text
/// out = CrossAttention(S, [LN_0(C_0) + e_0 ; LN_1(C_1) + e_1 ; ...])
/// ```
#[derive(Module, Debug)]
pub struct LevelConcat {
    /// `[levels, width]`
    pub level_embedding: Param<Tensor<2>>,
    pub level_norms: Vec<LayerNorm>,
}

impl LevelConcat {
    pub fn new(levels: usize, norm: &LayerNormConfig, device: &Device) -> Self {
        Self {
            level_embedding: normal().init([levels, norm.width], device),
            level_norms: level_norms(levels, norm, device),
        }
    }

    /// What is added behind self-attention, `[batch, tokens, width]`.
    pub fn forward(&self, crossing: Crossing) -> Tensor<3> {
        let Crossing { attend, s, memory, levels, .. } = crossing;
        let (keys, mask) = self.keys(memory, levels);
        attend.to(s, keys, mask.as_ref())
    }

    /// How much attention each level got: the weights of its keys, added up, averaged over heads.
    ///
    /// # Shapes
    ///
    /// - `weights`: `[batch, heads, tokens, levels * keys]`
    pub fn reading(&self, weights: Tensor<4>) -> Reading {
        let [batch, _, tokens, keys] = weights.dims();
        let levels = self.level_norms.len();
        let each = keys / levels;
        let weights = weights.mean_dim(1).reshape([batch, tokens, keys]);
        let of_level = |level: usize| weights.clone().narrow(2, level * each, each).sum_dim(2);
        Reading::of_levels(Tensor::cat((0..levels).map(of_level).collect(), 2))
    }

    fn keys(&self, memory: &Memory, levels: &[Tensor<3>]) -> (Tensor<3>, Option<AttentionMask>) {
        let marked =
            normed(levels, &self.level_norms).into_iter().enumerate().map(|(at, level)| {
                level + self.level_embedding.val().narrow(0, at, 1).unsqueeze::<3>()
            });
        let mask = memory
            .mask
            .as_ref()
            .map(|mask| (1..levels.len()).fold(mask.clone(), |longer, _| longer.before(mask)));
        (Tensor::cat(marked.collect(), 1), mask)
    }
}

//! U2: one cross-attention to a sum of gated levels.

use burn::module::Module;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use weft_nn::init::linear;
use weft_nn::{LayerNorm, LayerNormConfig, Linear};

use crate::attend::Crossing;
use crate::connection::Granularity;
use crate::mixture::{
    Reading, level_norms, mean_token, normed, readable, weight_width, weighted_sum,
};

/// Our second reading of UNIMO-3's abstract: every level of the other stream, the one before the layer
/// among them, has a gate of its own, and nothing makes them compete.
///
/// ```text
/// M   = sum_j sigmoid(s_j) LN_j(C_j)
/// out = CrossAttention(S, M)
/// ```
///
/// `s_j` is a linear map of `[mean(S) ; mean(C_j)]` (scalar), or of `[mean(S) ; C_j]` for each token of
/// the level, to one number or to one for each channel.
#[derive(Module, Debug)]
pub struct LevelSum {
    /// For each level, from twice the width.
    pub gates: Vec<Linear>,
    pub level_norms: Vec<LayerNorm>,
    #[module(skip)]
    granularity: Granularity,
}

impl LevelSum {
    pub fn new(
        granularity: Granularity,
        levels: usize,
        norm: &LayerNormConfig,
        device: &Device,
    ) -> Self {
        let outputs = weight_width(granularity, norm.width);
        Self {
            gates: (0..levels).map(|_| linear(2 * norm.width, outputs, device)).collect(),
            level_norms: level_norms(levels, norm, device),
            granularity,
        }
    }

    /// What is added behind self-attention, `[batch, tokens, width]`.
    pub fn forward(&self, crossing: Crossing) -> (Tensor<3>, Reading) {
        let Crossing { attend, s, memory, levels, own_visible, others_visible: others } = crossing;
        let asked = mean_token(s.clone(), own_visible);
        let weights: Vec<Tensor<3>> = levels
            .iter()
            .zip(&self.gates)
            .map(|(level, gate)| sigmoid(gate.forward(self.seen(&asked, level, others))))
            .collect();
        let mixed = weighted_sum(&normed(levels, &self.level_norms), &weights);
        let output = attend.to(s, mixed, memory.mask.as_ref());
        // Of weights for each token of the other stream, people read the mean.
        let weights = readable(&weights);
        let [_, tokens, _] = weights.dims();
        let of_others = (tokens > 1).then(|| weights.clone());
        let mean = mean_token(weights, others.filter(|_| tokens > 1));
        (output, Reading { of_others, ..Reading::of_levels(mean) })
    }

    fn seen(&self, asked: &Tensor<3>, level: &Tensor<3>, others: Option<&Tensor<3>>) -> Tensor<3> {
        let level = match self.granularity {
            Granularity::Scalar => mean_token(level.clone(), others),
            Granularity::Token | Granularity::Channel => level.clone(),
        };
        let [batch, tokens, width] = level.dims();
        Tensor::cat(vec![asked.clone().expand([batch, tokens, width]), level], 2)
    }
}

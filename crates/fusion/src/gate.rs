//! U1: in-layer and cross-layer cross-attention, gated.

use burn::module::Module;
use burn::nn::Initializer;
use burn::tensor::activation::sigmoid;
use burn::tensor::{Device, Tensor};
use weft_nn::init::{linear, linear_without_bias};
use weft_nn::{LayerNorm, LayerNormConfig, Linear};

use crate::attend::Crossing;
use crate::connection::Granularity;
use crate::mixture::{
    Reading, level_norms, mean_token, normed, over_levels, readable, weight_width, weighted_sum,
};

/// Where the gate starts: nine parts in-layer, one part cross-layer.
const INITIAL_SHARE: f64 = 0.9;

/// Our first reading of UNIMO-3's abstract (arXiv 2305.13697; its gate is not public). For a layer of
/// one stream, with `S` its tokens behind self-attention, `C` the other stream's state before the layer
/// and `C_j` the other stream's levels:
///
/// ```text
/// A     = CrossAttention(S, C)                                        in-layer
/// alpha = softmax_j u . tanh(W_q mean(S) + W_k mean(C_j))
/// M     = sum_j alpha_j LN_j(C_j)
/// B     = CrossAttention(S, M)                                        cross-layer, the same weights
/// g     = sigmoid([A ; B] W_g + b)                                    at first 0.9
/// out   = g * A + (1 - g) * B
/// ```
///
/// `out` takes the place of the block's cross-attention. The gate is a number for each channel of each
/// token, for each token, or (from the means of A and B) for the whole sequence.
#[derive(Module, Debug)]
pub struct CrossLayerGate {
    /// `W_q`, `W_k` and `u`.
    pub query: Linear,
    pub key: Linear,
    pub score: Linear,
    pub level_norms: Vec<LayerNorm>,
    /// `W_g` and `b`.
    pub gate: Linear,
    #[module(skip)]
    granularity: Granularity,
}

impl CrossLayerGate {
    pub fn new(
        granularity: Granularity,
        levels: usize,
        norm: &LayerNormConfig,
        device: &Device,
    ) -> Self {
        let width = norm.width;
        let outputs = weight_width(granularity, width);
        let bias = (INITIAL_SHARE / (1.0 - INITIAL_SHARE)).ln();
        let mut gate = linear(2 * width, outputs, device);
        gate.bias = Some(Initializer::Constant { value: bias }.init([outputs], device));
        Self {
            query: linear(width, width, device),
            key: linear_without_bias(width, width, device),
            score: linear_without_bias(width, 1, device),
            level_norms: level_norms(levels, norm, device),
            gate,
            granularity,
        }
    }

    /// What is added behind self-attention, `[batch, tokens, width]`.
    pub fn forward(&self, crossing: Crossing) -> (Tensor<3>, Reading) {
        let Crossing { attend, s, memory, levels, own_visible, others_visible } = crossing;
        let mask = memory.mask.as_ref();
        let in_layer = attend.to(s.clone(), memory.tokens.clone(), mask);

        let weights =
            over_levels(self.logits(s.clone(), levels, own_visible, others_visible), levels.len());
        let mixed = weighted_sum(&normed(levels, &self.level_norms), &weights);
        let cross_layer = attend.to(s, mixed, mask);

        let both = Tensor::cat(vec![in_layer.clone(), cross_layer.clone()], 2);
        let gate = sigmoid(self.gate.forward(match self.granularity {
            Granularity::Scalar => mean_token(both, own_visible),
            Granularity::Token | Granularity::Channel => both,
        }));
        let kept = Some(gate.clone().mean_dim(2));
        let reading = Reading { kept, ..Reading::of_levels(readable(&weights)) };
        (in_layer * gate.clone() + cross_layer * (1.0 - gate), reading)
    }

    /// `[batch, 1, levels]`
    fn logits(
        &self,
        s: Tensor<3>,
        levels: &[Tensor<3>],
        own: Option<&Tensor<3>>,
        others: Option<&Tensor<3>>,
    ) -> Tensor<3> {
        let asked = self.query.forward(mean_token(s, own));
        let score = |level: &Tensor<3>| {
            let offered = self.key.forward(mean_token(level.clone(), others));
            self.score.forward((asked.clone() + offered).tanh())
        };
        Tensor::cat(levels.iter().map(score).collect(), 2)
    }
}

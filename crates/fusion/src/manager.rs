//! ManagerTower's connection: a weighted sum of the levels of a stream's own modality.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use weft_nn::init::{linear, normal};
use weft_nn::{LayerNorm, LayerNormConfig, Linear};

use crate::connection::{ConnectionConfig, ConnectionKind, Granularity};
use crate::mixture::{
    Reading, level_norms, mean_token, normed, over_levels, readable, weight_width, weighted_sum,
};

/// A manager of one layer of one stream (ManagerTower, Xu et al. 2023):
///
/// ```text
/// sum_k softmax_k(a_k / tau) * LN_k(u_k + e_k)  +  w_c * LN(c)
/// ```
///
/// with levels `u_k`, their embeddings `e_k`, the state before the layer `c`, and a learned temperature
/// `tau`. The logits `a_k` are learned numbers (static), or a linear map of `c` beside what it attends
/// to in the other stream (adaptive). The first layer has no state yet: it is static and has no second
/// term. The noise that the published one adds to logits while training is left out.
#[derive(Module, Debug)]
pub struct Manager {
    /// `[levels * channels]`, of a static manager.
    pub logits: Option<Param<Tensor<1>>>,
    /// From `[c ; what it attends to]` to `levels * channels`, of an adaptive one.
    pub query: Option<Linear>,
    /// `e`, `[levels, width]`.
    pub level_embedding: Param<Tensor<2>>,
    pub level_norms: Vec<LayerNorm>,
    /// `tau`, `[1]`.
    pub temperature: Param<Tensor<1>>,
    /// `w_c`, `[width]`, and its norm; none in the first layer.
    pub state_weight: Option<Param<Tensor<1>>>,
    pub state_norm: Option<LayerNorm>,
    #[module(skip)]
    granularity: Granularity,
}

/// The other stream before the layer.
#[derive(Debug, Clone)]
pub struct Other {
    /// `[batch, keys, width]`
    pub tokens: Tensor<3>,
    /// Added to the scores of its tokens, `[batch, 1, keys]`, where some are padding.
    pub bias: Option<Tensor<3>>,
}

impl Manager {
    /// Of a layer that can choose from `levels`; `first` says that there is no state before it.
    pub fn new(
        config: &ConnectionConfig,
        levels: usize,
        first: bool,
        norm: &LayerNormConfig,
        device: &Device,
    ) -> Self {
        let width = norm.width;
        let adaptive = config.kind == ConnectionKind::Managers && !first;
        let granularity = config.granularity();
        let numbers = levels * weight_width(granularity, width);
        let constant =
            |value: f64, count: usize| Initializer::Constant { value }.init([count], device);
        Self {
            logits: (!adaptive).then(|| constant(0.0, numbers)),
            query: adaptive.then(|| linear(2 * width, numbers, device)),
            level_embedding: normal().init([levels, width], device),
            level_norms: level_norms(levels, norm, device),
            temperature: constant(1.0, 1),
            state_weight: (!first).then(|| constant(1.0, width)),
            state_norm: (!first).then(|| norm.init(device)),
            granularity,
        }
    }

    /// # Shapes
    ///
    /// - `levels`: each `[batch, tokens, width]`
    /// - `state`: `[batch, tokens, width]`, where there is one
    /// - `visible`: `[batch, tokens, 1]`, where some tokens of this stream are padding
    /// - output: `[batch, tokens, width]`
    pub fn forward(
        &self,
        levels: &[Tensor<3>],
        state: Option<Tensor<3>>,
        other: &Other,
        visible: Option<&Tensor<3>>,
    ) -> (Tensor<3>, Reading) {
        let embedded: Vec<Tensor<3>> = levels
            .iter()
            .enumerate()
            .map(|(at, level)| {
                let embedding = self.level_embedding.val().narrow(0, at, 1);
                level.clone() + embedding.unsqueeze::<3>()
            })
            .collect();
        let logits = self.logits(state.as_ref(), other, visible);
        let temperature = self.temperature.val().unsqueeze::<3>();
        let weights = over_levels(logits / temperature, levels.len());
        let mixed = weighted_sum(&normed(&embedded, &self.level_norms), &weights);
        let output = match (state, &self.state_weight, &self.state_norm) {
            (Some(state), Some(weight), Some(norm)) => {
                mixed + norm.forward(state) * weight.val().unsqueeze::<3>()
            }
            _ => mixed,
        };
        (output, Reading::of_levels(readable(&weights)))
    }

    /// `[batch or 1, tokens or 1, levels * channels]`
    fn logits(
        &self,
        state: Option<&Tensor<3>>,
        other: &Other,
        visible: Option<&Tensor<3>>,
    ) -> Tensor<3> {
        match (&self.logits, &self.query, state) {
            (Some(logits), ..) => logits.val().unsqueeze::<3>(),
            (None, Some(query), Some(state)) => {
                let seen = Tensor::cat(vec![attend(state.clone(), other), state.clone()], 2);
                query.forward(match self.granularity {
                    Granularity::Scalar => mean_token(seen, visible),
                    Granularity::Token | Granularity::Channel => seen,
                })
            }
            _ => unreachable!("an adaptive manager is made for layers with a state"),
        }
    }
}

/// `softmax(x y^T / sqrt(width)) y`: attention without weights of its own.
fn attend(x: Tensor<3>, other: &Other) -> Tensor<3> {
    let [_, _, width] = x.dims();
    let scores = x.matmul(other.tokens.clone().transpose()) / (width as f64).sqrt();
    let scores = match &other.bias {
        Some(bias) => scores + bias.clone(),
        None => scores,
    };
    softmax(scores, 2).matmul(other.tokens.clone())
}

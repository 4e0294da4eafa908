//! Weighted sums of levels, and what they tell of themselves.

use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use weft_nn::{LayerNorm, LayerNormConfig};

use crate::connection::Granularity;

/// How much one layer of one stream used each level.
#[derive(Debug, Clone)]
pub struct Reading {
    /// `[batch or 1, tokens or 1, levels]`, channels averaged. Of a softmax they add up to 1, of gates they
    /// need not.
    pub weights: Tensor<3>,
    /// What the layer before kept against the levels, `[batch, tokens or 1, 1]`, where the connection
    /// weighs the two.
    pub kept: Option<Tensor<3>>,
    /// The weights before they were averaged, `[batch, the other stream's tokens, levels]`, where each token of the
    /// other stream has its own.
    pub of_others: Option<Tensor<3>>,
}

impl Reading {
    /// Of a connection that weighs levels alone.
    pub fn of_levels(weights: Tensor<3>) -> Self {
        Self { weights, kept: None, of_others: None }
    }
}

/// A norm for each of `levels`.
pub fn level_norms(levels: usize, norm: &LayerNormConfig, device: &Device) -> Vec<LayerNorm> {
    (0..levels).map(|_| norm.init(device)).collect()
}

/// Each level normalised by its own norm.
///
/// # Panics
///
/// Where there are not as many norms.
pub fn normed(levels: &[Tensor<3>], norms: &[LayerNorm]) -> Vec<Tensor<3>> {
    assert_eq!(levels.len(), norms.len(), "a norm for each level");
    levels.iter().zip(norms).map(|(level, norm)| norm.forward(level.clone())).collect()
}

/// How many numbers one weight is made of.
pub fn weight_width(granularity: Granularity, width: usize) -> usize {
    if granularity == Granularity::Channel { width } else { 1 }
}

/// Softmax of logits over levels.
///
/// # Shapes
///
/// - `logits`: `[batch or 1, tokens or 1, levels * channels]`, level by level, `channels` the width or
///   1
/// - output: a weight of each level, `[batch or 1, tokens or 1, channels]`
pub fn over_levels(logits: Tensor<3>, levels: usize) -> Vec<Tensor<3>> {
    let [batch, tokens, numbers] = logits.dims();
    let channels = numbers / levels;
    let weights = softmax(logits.reshape([batch * tokens, levels, channels]), 1);
    (0..levels)
        .map(|level| weights.clone().narrow(1, level, 1).reshape([batch, tokens, channels]))
        .collect()
}

/// `sum_j weight_j level_j`
///
/// # Shapes
///
/// - each level: `[batch, tokens, width]`
/// - each weight: `[batch or 1, tokens or 1, width or 1]`
/// - output: `[batch, tokens, width]`
pub fn weighted_sum(levels: &[Tensor<3>], weights: &[Tensor<3>]) -> Tensor<3> {
    let terms = levels.iter().zip(weights).map(|(level, weight)| level.clone() * weight.clone());
    terms.reduce(|sum, term| sum + term).expect("at least one level")
}

/// Weights for people to read, `[batch or 1, tokens or 1, levels]`.
pub fn readable(weights: &[Tensor<3>]) -> Tensor<3> {
    Tensor::cat(weights.iter().map(|weight| weight.clone().mean_dim(2)).collect(), 2)
}

/// The mean over tokens, `[batch, 1, width]`, of those that `visible`, `[batch, tokens, 1]`, marks by
/// 1; of all without it.
pub fn mean_token(x: Tensor<3>, visible: Option<&Tensor<3>>) -> Tensor<3> {
    match visible {
        Some(visible) => {
            let count = visible.clone().sum_dim(1).clamp_min(1.0);
            (x * visible.clone()).sum_dim(1) / count
        }
        None => x.mean_dim(1),
    }
}

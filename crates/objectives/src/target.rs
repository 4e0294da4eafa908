//! What the targets of MRM and MIM share.

use burn::tensor::{Int, Tensor};
use weft_kernels::standardize;

/// Keeps the division by a token's deviation finite.
const EPSILON: f64 = 1e-6;

/// A target off the tape, with how far its tokens are apart.
pub(crate) struct Target {
    /// `[items, width]`
    pub features: Tensor<2>,
    /// `[1]`, of the features as the network gave them: standardising hides a collapse.
    pub spread: Tensor<1>,
}

impl Target {
    /// Of `features`, each standardised if `standardized`.
    pub fn new(features: Tensor<2>, standardized: bool) -> Self {
        let spread = target_spread(features.clone());
        Self { features: scaled(features, standardized), spread }
    }
}

/// `items`, `[items, width]`, each standardised if `standardized`.
pub(crate) fn scaled(items: Tensor<2>, standardized: bool) -> Tensor<2> {
    if standardized { standardize(items, EPSILON) } else { items }
}

/// Mean over dimensions of the standard deviation over tokens: near 0 when all targets are alike,
/// that is when the representation has collapsed and the loss is small for nothing.
///
/// # Shapes
///
/// - `target`: `[tokens, width]`
/// - output: `[1]`
pub fn target_spread(target: Tensor<2>) -> Tensor<1> {
    let centred = target.clone() - target.mean_dim(0);
    centred.square().mean_dim(0).sqrt().mean()
}

/// Picks tokens of `x`, `[batch, tokens, width]`, by their index into `[batch * tokens]`.
pub(crate) fn rows(x: Tensor<3>, rows: Tensor<1, Int>) -> Tensor<2> {
    let [batch, tokens, width] = x.dims();
    x.reshape([batch * tokens, width]).select(0, rows)
}

/// The default of `standardize_target`.
pub(crate) fn yes() -> bool {
    true
}

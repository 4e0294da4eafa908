//! Standardising each row.

use burn::tensor::Tensor;

/// `(x - mean(x)) / sqrt(var(x) + epsilon)` over the last dimension: layer norm (Ba et al. 2016)
/// without its learned scale and shift. For targets, which must not be learned.
///
/// # Shapes
///
/// - input and output: `[items, width]`
pub fn standardize(x: Tensor<2>, epsilon: f64) -> Tensor<2> {
    let centred = x.clone() - x.mean_dim(1);
    let variance = centred.clone().square().mean_dim(1);
    centred / (variance + epsilon).sqrt()
}

//! Scaled dot-product attention.

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

/// What attention returns.
pub struct Attended {
    /// `[batch, heads, queries, head_width]`
    pub context: Tensor<4>,
    /// The attention weights `[batch, heads, queries, keys]`; each row sums to 1.
    pub weights: Tensor<4>,
}

/// `softmax(q k^T / sqrt(head_width) + bias) v` (Vaswani et al. 2017, equation 1).
///
/// `bias` is added to the scores; padding is a bias of a large negative number.
///
/// # Shapes
///
/// - `q`: `[batch, heads, queries, head_width]`
/// - `k`, `v`: `[batch, heads, keys, head_width]`
/// - `bias`: broadcastable to `[batch, heads, queries, keys]`
pub fn attention(q: Tensor<4>, k: Tensor<4>, v: Tensor<4>, bias: Option<Tensor<4>>) -> Attended {
    let [_, _, _, head_width] = q.dims();
    // Scaling the queries touches fewer numbers than scaling the scores.
    let scores = (q / (head_width as f64).sqrt()).matmul(k.swap_dims(2, 3));
    let scores = match bias {
        Some(bias) => scores + bias,
        None => scores,
    };
    let weights = softmax(scores, 3);
    Attended { context: weights.clone().matmul(v), weights }
}

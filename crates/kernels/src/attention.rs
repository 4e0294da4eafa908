//! Scaled dot-product attention.

#[cfg(any(feature = "flex", feature = "cube"))]
pub mod extension;

use burn::tensor::Tensor;
use burn::tensor::activation::softmax;

/// `Concat(head_1, ..., head_h)` with `head_i = softmax(q_i k_i^T / sqrt(head_width) + bias) v_i`
/// (Vaswani et al. 2017, equation 1), where `q_i` are columns `i head_width .. (i + 1) head_width`
/// of `q`, and so for `k` and `v`.
///
/// `bias` is a constant, for padding and causal masks: a large negative number for a key that must
/// not be seen. No gradient comes back to it.
///
/// # Shapes
///
/// - `q` and the output: `[batch, queries, width]`, the width a multiple of `heads`
/// - `k`, `v`: `[batch, keys, width]`
/// - `bias`: `[batch or 1, 1, queries or 1, keys]`
pub fn attention(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    bias: Option<Tensor<4>>,
) -> Tensor<3> {
    check(&q, &k, &v, heads, bias.as_ref());
    #[cfg(any(feature = "flex", feature = "cube"))]
    {
        use crate::fused::takes;
        use burn::backend::Dispatch;
        use extension::AttentionOps;

        let [_, keys, _] = k.dims();
        // Without padding the bias is a row of zeros, which costs nothing beside the scores.
        let bias = bias.unwrap_or_else(|| Tensor::zeros([1, 1, 1, keys], &q.device()));
        let [q, k, v, bias] =
            [q.into_dispatch(), k.into_dispatch(), v.into_dispatch(), bias.into_dispatch()];
        if [&q, &k, &v, &bias].into_iter().all(takes) {
            return Tensor::from_dispatch(Dispatch::attention_forward(q, k, v, bias, heads));
        }
        let [q, k, v] = [q, k, v].map(Tensor::from_dispatch);
        composed(q, k, v, heads, Some(Tensor::from_dispatch(bias)), None).0
    }
    #[cfg(not(any(feature = "flex", feature = "cube")))]
    composed(q, k, v, heads, bias, None).0
}

/// As [`attention`], with the weights `[batch, heads, queries, keys]`, each row of which sums to 1.
/// Always composed of Burn's operations: this is for looking at, not for training.
///
/// `probe` is added to the weights before they meet the values: a zero that records gradients gets
/// the gradient of the weights, which Grad-CAM asks for.
///
/// # Shapes
///
/// As [`attention`]; `probe` as the weights.
pub fn attention_with_weights(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    bias: Option<Tensor<4>>,
    probe: Option<Tensor<4>>,
) -> (Tensor<3>, Tensor<4>) {
    check(&q, &k, &v, heads, bias.as_ref());
    composed(q, k, v, heads, bias, probe)
}

fn check(q: &Tensor<3>, k: &Tensor<3>, v: &Tensor<3>, heads: usize, bias: Option<&Tensor<4>>) {
    let [batch, queries, width] = q.dims();
    let [_, keys, _] = k.dims();
    assert!(heads > 0 && width.is_multiple_of(heads), "width {width} in {heads} heads");
    assert_eq!(k.dims(), [batch, keys, width], "the shape of the keys");
    assert_eq!(v.dims(), [batch, keys, width], "the shape of the values");
    if let Some(bias) = bias {
        let [items, _, rows, _] = bias.dims();
        assert!(items == 1 || items == batch, "a bias for {items} of {batch} items");
        assert!(rows == 1 || rows == queries, "a bias for {rows} of {queries} queries");
        assert_eq!(bias.dims(), [items, 1, rows, keys], "the shape of the bias");
    }
}

fn composed(
    q: Tensor<3>,
    k: Tensor<3>,
    v: Tensor<3>,
    heads: usize,
    bias: Option<Tensor<4>>,
    probe: Option<Tensor<4>>,
) -> (Tensor<3>, Tensor<4>) {
    let [batch, queries, width] = q.dims();
    let head_width = width / heads;
    let split = |x: Tensor<3>| {
        let [batch, tokens, _] = x.dims();
        x.reshape([batch, tokens, heads, head_width]).swap_dims(1, 2)
    };
    // Scaling the queries touches fewer numbers than scaling the scores.
    let q = split(q) / (head_width as f64).sqrt();
    let scores = q.matmul(split(k).swap_dims(2, 3));
    let scores = match bias {
        Some(bias) => scores + bias,
        None => scores,
    };
    let weights = softmax(scores, 3);
    let weights = match probe {
        Some(probe) => weights + probe,
        None => weights,
    };
    let context = weights.clone().matmul(split(v));
    (context.swap_dims(1, 2).reshape([batch, queries, width]), weights)
}

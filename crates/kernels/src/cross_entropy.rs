//! Cross-entropy between logits and classes or distributions.

use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

/// `-mean_i log softmax(logits_i)[class_i]`
///
/// # Shapes
///
/// - `logits`: `[items, classes]`
/// - `class`: `[items]`, each below `classes`
/// - output: `[1]`
pub fn cross_entropy(logits: Tensor<2>, class: Tensor<1, Int>) -> Tensor<1> {
    let log_probability = log_softmax(logits, 1);
    log_probability.gather(1, class.unsqueeze_dim::<2>(1)).mean().neg()
}

/// `-mean_i sum_c target_ic log softmax(logits_i)[c]`
///
/// # Shapes
///
/// - `logits`, `target`: `[items, classes]`; each row of `target` sums to 1
/// - output: `[1]`
pub fn cross_entropy_soft(logits: Tensor<2>, target: Tensor<2>) -> Tensor<1> {
    (log_softmax(logits, 1) * target).sum_dim(1).mean().neg()
}

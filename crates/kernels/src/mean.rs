//! The mean of all elements, the same bits in every run.

use burn::tensor::Tensor;

/// `sum(x) / (items * width)`, first within rows, then over rows.
///
/// A plain sum of millions of elements is split among threads by whoever is idle, and the order of
/// additions, so the last bits, with it. Rows are always summed in one order.
///
/// # Shapes
///
/// - input: `[items, width]`
/// - output: `[1]`
pub fn mean(x: Tensor<2>) -> Tensor<1> {
    x.mean_dim(1).mean_dim(0).reshape([1])
}

//! The sum of squares, the same bits in every run.

#[cfg(feature = "flex")]
pub mod extension;

use burn::tensor::Tensor;

/// Numbers that are summed first; sums of them are summed after that.
const ROW: usize = 1024;

/// `sum_i x_i^2`
///
/// A plain sum of millions of numbers is split among threads by whoever is idle, and the order of
/// additions, so the last bits, with it. Rows are always summed in one order.
///
/// # Shapes
///
/// - input: `[count]`, off the tape
/// - output: `[1]`
pub fn square_sum(x: Tensor<1>) -> Tensor<1> {
    #[cfg(feature = "flex")]
    {
        use burn::backend::Dispatch;
        use extension::SquareSumOps;

        let x = x.into_dispatch();
        if crate::flex::takes(&x) {
            return Tensor::from_dispatch(Dispatch::square_sum(x));
        }
        composed(Tensor::from_dispatch(x))
    }
    #[cfg(not(feature = "flex"))]
    composed(x)
}

fn composed(x: Tensor<1>) -> Tensor<1> {
    let [count] = x.dims();
    let whole = count / ROW * ROW;
    let squares = |x: Tensor<2>| x.square().sum_dim(1).sum_dim(0).reshape([1]);
    let rows = |x: Tensor<1>| x.narrow(0, 0, whole).reshape([whole / ROW, ROW]);
    let rest = |x: Tensor<1>| x.narrow(0, whole, count - whole).unsqueeze();
    match (whole, count - whole) {
        (0, _) => squares(x.unsqueeze()),
        (_, 0) => squares(rows(x)),
        _ => squares(rows(x.clone())) + squares(rest(x)),
    }
}

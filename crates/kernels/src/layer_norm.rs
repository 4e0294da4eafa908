//! Layer norm, and standardising each row.

#[cfg(any(feature = "flex", feature = "cube"))]
pub mod extension;

use burn::tensor::Tensor;
use burn::tensor::module;

/// `(x - mean(x)) / sqrt(var(x) + epsilon) gamma + beta` over the last dimension (Ba et al. 2016).
///
/// # Shapes
///
/// - input and output: `[..., width]`
/// - `gamma`, `beta`: `[width]`
pub fn layer_norm<const D: usize>(
    x: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> Tensor<D> {
    assert_eq!(x.dims()[D - 1..], gamma.dims(), "the width of gamma");
    assert_eq!(x.dims()[D - 1..], beta.dims(), "the width of beta");
    #[cfg(any(feature = "flex", feature = "cube"))]
    {
        use crate::fused::takes;
        use burn::backend::Dispatch;
        use extension::LayerNormOps;

        let [x, gamma, beta] = [x.into_dispatch(), gamma.into_dispatch(), beta.into_dispatch()];
        if takes(&x) && takes(&gamma) && takes(&beta) {
            return Tensor::from_dispatch(Dispatch::layer_norm_forward(x, gamma, beta, epsilon));
        }
        let [gamma, beta] = [gamma, beta].map(Tensor::from_dispatch);
        module::layer_norm(Tensor::from_dispatch(x), gamma, Some(beta), epsilon)
    }
    #[cfg(not(any(feature = "flex", feature = "cube")))]
    module::layer_norm(x, gamma, Some(beta), epsilon)
}

/// `s = x + branch`, and [`layer_norm`] of `s`: the end of a residual branch, and the norm that
/// comes next.
///
/// # Shapes
///
/// - `x`, `branch` and both outputs: `[..., width]`
/// - `gamma`, `beta`: `[width]`
pub fn residual_layer_norm<const D: usize>(
    x: Tensor<D>,
    branch: Tensor<D>,
    gamma: Tensor<1>,
    beta: Tensor<1>,
    epsilon: f64,
) -> (Tensor<D>, Tensor<D>) {
    assert_eq!(x.dims(), branch.dims(), "the shape of the residual branch");
    assert_eq!(x.dims()[D - 1..], gamma.dims(), "the width of gamma");
    assert_eq!(x.dims()[D - 1..], beta.dims(), "the width of beta");
    #[cfg(any(feature = "flex", feature = "cube"))]
    {
        use crate::fused::takes;
        use burn::backend::Dispatch;
        use extension::LayerNormOps;

        let [x, branch] = [x, branch].map(Tensor::into_dispatch);
        let [gamma, beta] = [gamma, beta].map(Tensor::into_dispatch);
        if [&x, &branch, &gamma, &beta].into_iter().all(takes) {
            let (sum, normed) =
                Dispatch::residual_layer_norm_forward(x, branch, gamma, beta, epsilon);
            return (Tensor::from_dispatch(sum), Tensor::from_dispatch(normed));
        }
        let sum = Tensor::<D>::from_dispatch(x) + Tensor::from_dispatch(branch);
        let [gamma, beta] = [gamma, beta].map(Tensor::from_dispatch);
        (sum.clone(), module::layer_norm(sum, gamma, Some(beta), epsilon))
    }
    #[cfg(not(any(feature = "flex", feature = "cube")))]
    {
        let sum = x + branch;
        (sum.clone(), module::layer_norm(sum, gamma, Some(beta), epsilon))
    }
}

/// `(x - mean(x)) / sqrt(var(x) + epsilon)` over the last dimension: layer norm
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

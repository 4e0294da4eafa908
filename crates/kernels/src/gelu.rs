//! The Gaussian error linear unit.

#[cfg(feature = "flex")]
pub mod extension;

use burn::tensor::Tensor;
use burn::tensor::activation;

/// `x Phi(x)`, with `Phi` the distribution of the standard normal (Hendrycks and Gimpel 2016), not
/// approximated by tanh.
///
/// # Shapes
///
/// - input and output: any
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "flex")]
    {
        use burn::backend::Dispatch;
        use extension::GeluOps;

        let x = x.into_dispatch();
        if crate::flex::takes(&x) {
            return Tensor::from_dispatch(Dispatch::gelu_forward(x));
        }
        activation::gelu(Tensor::from_dispatch(x))
    }
    #[cfg(not(feature = "flex"))]
    activation::gelu(x)
}

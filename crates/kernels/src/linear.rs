//! Linear layers, alone and with the GELU behind them.

#[cfg(feature = "flex")]
pub mod extension;

use burn::tensor::{Tensor, activation, module};

/// `x W + b`
///
/// # Shapes
///
/// - `x`: `[..., input]`
/// - `weight`: `[input, output]`
/// - `bias`: `[output]`
/// - output: `[..., output]`
pub fn linear<const D: usize>(
    x: Tensor<D>,
    weight: Tensor<2>,
    bias: Option<Tensor<1>>,
) -> Tensor<D> {
    check(&x, &weight, bias.as_ref());
    #[cfg(feature = "flex")]
    {
        use crate::flex::takes;
        use burn::backend::Dispatch;
        use extension::LinearOps;

        let (x, weight) = (x.into_dispatch(), weight.into_dispatch());
        let bias = bias.map(Tensor::into_dispatch);
        if takes(&x) && takes(&weight) && bias.as_ref().is_none_or(takes) {
            return Tensor::from_dispatch(match bias {
                Some(bias) => Dispatch::linear_forward(x, weight, bias),
                None => Dispatch::linear_without_bias_forward(x, weight),
            });
        }
        let bias = bias.map(Tensor::from_dispatch);
        module::linear(Tensor::from_dispatch(x), Tensor::from_dispatch(weight), bias)
    }
    #[cfg(not(feature = "flex"))]
    module::linear(x, weight, bias)
}

/// `gelu(x W + b)`: the first half of a feed-forward network (Vaswani et al. 2017, equation 2, with
/// [`gelu`](crate::gelu()) for the ReLU). Shapes are those of [`linear`].
pub fn linear_gelu<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Tensor<1>) -> Tensor<D> {
    check(&x, &weight, Some(&bias));
    #[cfg(feature = "flex")]
    {
        use crate::flex::takes;
        use burn::backend::Dispatch;
        use extension::LinearOps;

        let [x, weight, bias] = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
        if takes(&x) && takes(&weight) && takes(&bias) {
            return Tensor::from_dispatch(Dispatch::linear_gelu_forward(x, weight, bias));
        }
        let bias = Some(Tensor::from_dispatch(bias));
        let x = module::linear(Tensor::from_dispatch(x), Tensor::from_dispatch(weight), bias);
        activation::gelu(x)
    }
    #[cfg(not(feature = "flex"))]
    activation::gelu(module::linear(x, weight, Some(bias)))
}

fn check<const D: usize>(x: &Tensor<D>, weight: &Tensor<2>, bias: Option<&Tensor<1>>) {
    let [input, output] = weight.dims();
    assert_eq!(x.dims()[D - 1], input, "the width of the input of a linear layer");
    if let Some(bias) = bias {
        assert_eq!(bias.dims(), [output], "the shape of the bias of a linear layer");
    }
}

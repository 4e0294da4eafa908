//! The linear layer.

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use weft_kernels::{linear, linear_gelu};

use crate::activation::Activation;

/// `x W + b`; [`init::linear`](crate::init::linear) makes one.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[input, output]`
    pub weight: Param<Tensor<2>>,
    /// `[output]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// # Shapes
    ///
    /// - input: `[..., input]`
    /// - output: `[..., output]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        linear(x, self.weight.val(), self.bias.as_ref().map(Param::val))
    }

    /// `activation(x W + b)`, in one pass where the activation is GELU.
    pub fn forward_activated<const D: usize>(
        &self,
        x: Tensor<D>,
        activation: Activation,
    ) -> Tensor<D> {
        match (activation, &self.bias) {
            (Activation::Gelu, Some(bias)) => linear_gelu(x, self.weight.val(), bias.val()),
            _ => activation.forward(self.forward(x)),
        }
    }
}

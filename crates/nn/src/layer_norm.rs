//! Layer norm with learned scale and shift.

use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor};
use weft_kernels::{layer_norm, residual_layer_norm};

/// Configuration of [`LayerNorm`].
#[derive(Debug, Clone, PartialEq)]
pub struct LayerNormConfig {
    pub width: usize,
    /// Added to the variance.
    pub epsilon: f64,
}

/// `(x - mean(x)) / sqrt(var(x) + epsilon) gamma + beta` over the last dimension (Ba et al. 2016).
#[derive(Module, Debug)]
pub struct LayerNorm {
    pub gamma: Param<Tensor<1>>,
    pub beta: Param<Tensor<1>>,
    #[module(skip)]
    epsilon: f64,
}

impl LayerNormConfig {
    pub fn init(&self, device: &Device) -> LayerNorm {
        LayerNorm {
            gamma: Initializer::Ones.init([self.width], device),
            beta: Initializer::Zeros.init([self.width], device),
            epsilon: self.epsilon,
        }
    }
}

impl LayerNorm {
    /// # Shapes
    ///
    /// - input and output: `[..., width]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        layer_norm(x, self.gamma.val(), self.beta.val(), self.epsilon)
    }

    /// `x + branch`, and its norm, in one pass.
    pub fn forward_residual<const D: usize>(
        &self,
        x: Tensor<D>,
        branch: Tensor<D>,
    ) -> (Tensor<D>, Tensor<D>) {
        residual_layer_norm(x, branch, self.gamma.val(), self.beta.val(), self.epsilon)
    }
}

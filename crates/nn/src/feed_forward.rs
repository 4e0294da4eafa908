//! The position-wise feed-forward network.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Linear};
use burn::tensor::{Device, Tensor};

use crate::activation::Activation;
use crate::init::linear;

/// Configuration of [`FeedForward`].
#[derive(Debug, Clone, PartialEq)]
pub struct FeedForwardConfig {
    pub width: usize,
    pub hidden: usize,
    pub output: usize,
    pub activation: Activation,
    /// Dropout of the output.
    pub dropout: f64,
}

/// `activation(x W_1 + b_1) W_2 + b_2` (Vaswani et al. 2017, equation 2).
#[derive(Module, Debug)]
pub struct FeedForward {
    pub expand: Linear,
    pub contract: Linear,
    pub dropout: Dropout,
    #[module(skip)]
    activation: Activation,
}

impl FeedForwardConfig {
    pub fn init(&self, device: &Device) -> FeedForward {
        FeedForward {
            expand: linear(self.width, self.hidden, device),
            contract: linear(self.hidden, self.output, device),
            dropout: DropoutConfig::new(self.dropout).init(),
            activation: self.activation,
        }
    }
}

impl FeedForward {
    /// # Shapes
    ///
    /// - input: `[..., width]`
    /// - output: `[..., output]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let hidden = self.activation.forward(self.expand.forward(x));
        self.dropout.forward(self.contract.forward(hidden))
    }
}

//! The position-wise feed-forward network.

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig};
use burn::tensor::{Device, Tensor};

use crate::activation::Activation;
use crate::init::linear;
use crate::linear::Linear;

/// Configuration of [`FeedForward`].
#[derive(Debug, Clone, PartialEq)]
pub struct FeedForwardConfig {
    pub width: usize,
    pub hidden: usize,
    pub output: usize,
    pub activation: Activation,
    /// Whether a second projection multiplies the activated one.
    pub gated: bool,
    /// Dropout of the output.
    pub dropout: f64,
}

/// `activation(x W_1 + b_1) W_2 + b_2` (Vaswani et al. 2017, equation 2), or gated,
/// `(activation(x W_1 + b_1) * (x W_g + b_g)) W_2 + b_2` (Shazeer 2020, equation 6; SwiGLU where the
/// activation is SiLU).
#[derive(Module, Debug)]
pub struct FeedForward {
    pub expand: Linear,
    pub gate: Option<Linear>,
    pub contract: Linear,
    pub dropout: Dropout,
    #[module(skip)]
    activation: Activation,
}

impl FeedForwardConfig {
    pub fn init(&self, device: &Device) -> FeedForward {
        FeedForward {
            expand: linear(self.width, self.hidden, device),
            gate: self.gated.then(|| linear(self.width, self.hidden, device)),
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
        let hidden = self.expand.forward_activated(x.clone(), self.activation);
        let hidden = match &self.gate {
            Some(gate) => hidden * gate.forward(x),
            None => hidden,
        };
        self.dropout.forward(self.contract.forward(hidden))
    }
}

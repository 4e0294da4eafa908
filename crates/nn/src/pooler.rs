//! One vector for a whole sequence.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use crate::activation::Activation;
use crate::init::linear;
use crate::linear::Linear;

/// `activation(x_0 W + b)`, with `x_0` the first token (tanh in Devlin et al. 2019: what the
/// next-sentence head reads).
#[derive(Module, Debug)]
pub struct Pooler {
    pub dense: Linear,
    #[module(skip)]
    activation: Activation,
}

impl Pooler {
    /// BERT's, with tanh.
    pub fn new(width: usize, output: usize, device: &Device) -> Self {
        Self { dense: linear(width, output, device), activation: Activation::Tanh }
    }

    /// The same with another activation.
    pub fn with_activation(self, activation: Activation) -> Self {
        Self { activation, ..self }
    }

    /// # Shapes
    ///
    /// - `x`: `[batch, tokens, width]`
    /// - output: `[batch, output]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        self.activation.forward(self.dense.forward(first_token(x)))
    }
}

/// The first token of each sequence, `[batch, tokens, width]` to `[batch, width]`.
pub fn first_token(x: Tensor<3>) -> Tensor<2> {
    let [batch, _, width] = x.dims();
    x.narrow(1, 0, 1).reshape([batch, width])
}

//! What fine-tuning puts on top of the fusion encoder.

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use weft_nn::init::linear;
use weft_nn::{Activation, ConfigError, LayerNorm, LayerNormConfig, Linear};

/// Sizes of a [`TaskHead`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TaskHeadConfig {
    /// Pictures that one text is about; their fused class tokens stand beside one another.
    pub pictures: usize,
    /// Classes, or the four numbers of a rectangle.
    pub outputs: usize,
    /// Whether they are a rectangle's, and patches propose it ([`RegionHead`](crate::RegionHead)).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub region: bool,
}

/// `W_2 GELU(LN(W_1 [c_1; ...; c_p] + b_1)) + b_2` of the fused class token `c` of each picture with
/// the text: the head of METER and BridgeTower for questions, statements and entailment.
#[derive(Module, Debug)]
pub struct TaskHead {
    pub transform: Linear,
    pub norm: LayerNorm,
    pub output: Linear,
}

impl TaskHeadConfig {
    /// Checks that a head of these sizes can exist.
    pub fn validate(&self) -> Result<(), ConfigError> {
        if !(1..=2).contains(&self.pictures) {
            return Err(ConfigError::new("model.task", "pictures must be 1 or 2"));
        }
        if self.outputs == 0 {
            return Err(ConfigError::new("model.task", "outputs must be at least 1"));
        }
        if self.region && (self.pictures, self.outputs) != (1, 4) {
            return Err(ConfigError::new("model.task", "a region has 4 outputs of 1 picture"));
        }
        Ok(())
    }

    /// A head for class tokens of `width`; its hidden layer is twice as wide.
    pub fn init(&self, width: usize, device: &Device) -> TaskHead {
        let hidden = 2 * width;
        TaskHead {
            transform: linear(self.pictures * width, hidden, device),
            norm: LayerNormConfig { width: hidden, epsilon: 1e-5 }.init(device),
            output: linear(hidden, self.outputs, device),
        }
    }
}

impl TaskHead {
    /// # Shapes
    ///
    /// - `classes`: for each picture the fused class token, `[batch, width]`
    /// - output: `[batch, outputs]`
    pub fn forward(&self, classes: Vec<Tensor<2>>) -> Tensor<2> {
        let x = match <[Tensor<2>; 1]>::try_from(classes) {
            Ok([class]) => class,
            Err(classes) => Tensor::cat(classes, 1),
        };
        let x = self.norm.forward(self.transform.forward(x));
        self.output.forward(Activation::Gelu.forward(x))
    }
}

//! Stochastic depth.

use burn::module::{Flag, Module, Param};
use burn::tensor::{Distribution, Tensor};

/// Leaves out a residual branch for whole samples with probability `rate` and scales the kept ones
/// by `1 / (1 - rate)` (Huang et al. 2016). The identity outside training.
#[derive(Module, Debug)]
pub struct DropPath {
    rate: f64,
    training: Param<Flag>,
}

impl DropPath {
    pub fn new(rate: f64) -> Self {
        Self { rate, training: Param::from_bool(true) }
    }

    /// # Shapes
    ///
    /// - input and output: `[batch, tokens, width]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let device = x.device();
        if self.rate == 0.0 || !self.training.is_enabled() || !device.is_autodiff() {
            return x;
        }
        let keep = 1.0 - self.rate;
        let [batch, _, _] = x.dims();
        let kept = Tensor::random([batch, 1, 1], Distribution::Bernoulli(keep), &device);
        x * (kept / keep)
    }
}

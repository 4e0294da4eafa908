//! How a layer of the fusion encoder takes up what the encoder beneath it has made of its input.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use serde::{Deserialize, Serialize};
use weft_nn::{LayerNorm, LayerNormConfig};

/// The kinds of [`Bridge`] (BridgeTower, Xu et al. 2023).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BridgeKind {
    /// `norm(u + c)`
    #[default]
    Add,
    /// `norm(s u + c)` with a learned number `s`, at first 1
    ScaledAdd,
    /// `norm((1 - b) u + b c)` with a learned number `b`, at first 1/2
    Interpolate,
}

/// A bridge from a layer of a uni-modal encoder, `u`, to the fusion encoder's state, `c`.
#[derive(Module, Debug)]
pub struct Bridge {
    /// The learned number, `[1]`, where the kind has one.
    pub weight: Option<Param<Tensor<1>>>,
    pub norm: LayerNorm,
    #[module(skip)]
    kind: BridgeKind,
}

impl Bridge {
    pub fn new(kind: BridgeKind, norm: &LayerNormConfig, device: &Device) -> Self {
        let initial = match kind {
            BridgeKind::Add => None,
            BridgeKind::ScaledAdd => Some(1.0),
            BridgeKind::Interpolate => Some(0.5),
        };
        let weight = initial.map(|w: f32| Param::from_tensor(Tensor::from_floats([w], device)));
        Self { weight, norm: norm.init(device), kind }
    }

    /// # Shapes
    ///
    /// - `u`, `c` and the output: `[batch, tokens, width]`
    pub fn forward(&self, u: Tensor<3>, c: Tensor<3>) -> Tensor<3> {
        let weight = self.weight.as_ref().map(|weight| weight.val().unsqueeze::<3>());
        self.norm.forward(match (self.kind, weight) {
            (BridgeKind::ScaledAdd, Some(s)) => u * s + c,
            (BridgeKind::Interpolate, Some(b)) => u * (1.0 - b.clone()) + c * b,
            _ => u + c,
        })
    }
}

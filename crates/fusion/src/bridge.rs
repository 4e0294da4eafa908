//! BridgeTower's connection: the uni-modal layer of the same depth is added.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use weft_nn::{LayerNorm, LayerNormConfig};

use crate::connection::ConnectionKind;

/// A bridge from a layer of a uni-modal encoder, `u`, to the fusion encoder's state, `c` (BridgeTower,
/// Xu et al. 2023), with a learned number `w`:
///
/// ```text
/// add            norm(u + c)
/// scaled-add     norm(w u + c)              at first w = 1
/// interpolate    norm((1 - w) u + w c)      at first w = 1/2
/// ```
#[derive(Module, Debug)]
pub struct Bridge {
    /// The learned number, `[1]`, where the kind has one.
    pub weight: Option<Param<Tensor<1>>>,
    pub norm: LayerNorm,
    #[module(skip)]
    kind: ConnectionKind,
}

impl Bridge {
    /// `kind` is one of the three bridges.
    pub fn new(kind: ConnectionKind, norm: &LayerNormConfig, device: &Device) -> Self {
        let initial = match kind {
            ConnectionKind::ScaledAdd => Some(1.0),
            ConnectionKind::Interpolate => Some(0.5),
            _ => None,
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
            (ConnectionKind::ScaledAdd, Some(s)) => u * s + c,
            (ConnectionKind::Interpolate, Some(b)) => u * (1.0 - b.clone()) + c * b,
            _ => u + c,
        })
    }
}

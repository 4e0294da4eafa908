//! The residual stream.

use burn::tensor::Tensor;

use crate::layer_norm::LayerNorm;

/// What runs through a stack of blocks: `x + branch`, where the branch that came last is added only
/// when somebody asks, because that is most often a norm, which adds in the same pass.
#[derive(Debug, Clone)]
pub struct Residual {
    /// `[batch, tokens, width]`
    x: Tensor<3>,
    branch: Option<Tensor<3>>,
}

impl Residual {
    pub fn new(x: Tensor<3>) -> Self {
        Self { x, branch: None }
    }

    /// `x + branch`
    pub fn plus(self, branch: Tensor<3>) -> Self {
        Self { x: self.sum(), branch: Some(branch) }
    }

    /// What has been added up.
    pub fn sum(self) -> Tensor<3> {
        match self.branch {
            Some(branch) => self.x + branch,
            None => self.x,
        }
    }

    /// What has been added up, as it is and normalised.
    pub fn normed(self, norm: &LayerNorm) -> (Self, Tensor<3>) {
        let (x, normed) = match self.branch {
            Some(branch) => norm.forward_residual(self.x, branch),
            None => (self.x.clone(), norm.forward(self.x)),
        };
        (Self::new(x), normed)
    }
}

impl From<Tensor<3>> for Residual {
    fn from(x: Tensor<3>) -> Self {
        Self::new(x)
    }
}

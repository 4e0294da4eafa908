//! The residual stream.

use std::ops::Range;

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

    /// The same for the tokens `rows` alone.
    pub fn rows(self, rows: &Range<usize>) -> Self {
        let narrow = |x: Tensor<3>| x.narrow(1, rows.start, rows.len());
        Self { x: narrow(self.x), branch: self.branch.map(narrow) }
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

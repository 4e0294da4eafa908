//! The sum of squares as an extension of Burn's backends. It has no place in the autodiff graph.

use burn::backend::tensor::FloatTensor;
use burn::backend::{Backend, backend_extension};

/// Backends that sum squares in one pass.
#[backend_extension(Flex)]
pub trait SquareSumOps: Backend {
    /// `[1]`, from a tensor of any shape.
    fn square_sum(x: FloatTensor<Self>) -> FloatTensor<Self>;
}

//! Gradients of a step: summed over batches, clipped by their global norm.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};

/// Gradients of a module in the order of its parameters, each as one dimension; `None` where a
/// parameter took no part in the loss.
pub struct FlatGradients(pub Vec<Option<Tensor<1>>>);

impl FlatGradients {
    /// Takes the gradients of `module`'s parameters out of `gradients`.
    pub fn take<M: Module>(module: &M, mut gradients: Gradients) -> Self {
        let mut taker = Taker { gradients: &mut gradients, taken: Vec::new() };
        module.visit(&mut taker);
        Self(taker.taken)
    }

    /// Adds the gradients of another batch.
    pub fn plus(self, other: Self) -> Self {
        let sum = |pair| match pair {
            (Some(a), Some(b)) => Some(a + b),
            (a, b) => a.or(b),
        };
        Self(self.0.into_iter().zip(other.0).map(sum).collect())
    }

    /// Multiplies every gradient.
    pub fn scale(self, factor: f64) -> Self {
        Self(self.0.into_iter().map(|gradient| gradient.map(|g| g * factor)).collect())
    }

    /// The square root of the sum of squares over all gradients.
    pub fn norm(&self) -> f64 {
        let squares: Vec<Tensor<1>> =
            self.0.iter().flatten().map(|g| g.clone().square().sum()).collect();
        if squares.is_empty() {
            return 0.0;
        }
        // One readback for all, added up in the parameters' order.
        let squares = Tensor::cat(squares, 0).into_data();
        squares.iter::<f32>().map(f64::from).sum::<f64>().sqrt()
    }

    /// Scales all gradients so that their global norm is at most `limit` (Pascanu et al. 2013; not
    /// each tensor by its own norm). Returns the norm before.
    pub fn clip(self, limit: f64) -> (Self, f64) {
        let norm = self.norm();
        // A norm that is not finite is the caller's to report.
        if norm > limit && norm.is_finite() {
            (self.scale(limit / norm), norm)
        } else {
            (self, norm)
        }
    }
}

struct Taker<'a> {
    gradients: &'a mut Gradients,
    taken: Vec<Option<Tensor<1>>>,
}

impl ModuleVisitor for Taker<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let gradient = param.val().grad_remove(self.gradients).map(|gradient| {
            let count = gradient.shape().num_elements();
            gradient.reshape([count])
        });
        self.taken.push(gradient);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn gradients(values: &[&[f32]]) -> FlatGradients {
        let device = Device::flex();
        FlatGradients(values.iter().map(|v| Some(Tensor::from_floats(*v, &device))).collect())
    }

    #[test]
    fn the_norm_is_over_all_tensors() {
        let (clipped, norm) = gradients(&[&[3.0], &[0.0, 4.0]]).clip(1.0);
        assert!((norm - 5.0).abs() < 1e-6);
        assert!((clipped.norm() - 1.0).abs() < 1e-6);
        let first: Vec<f32> = clipped.0[0].clone().unwrap().into_data().iter::<f32>().collect();
        assert!((first[0] - 0.6).abs() < 1e-6);
    }

    #[test]
    fn small_gradients_stay() {
        let (clipped, norm) = gradients(&[&[0.3], &[0.4]]).clip(1.0);
        assert!((norm - 0.5).abs() < 1e-6);
        assert!((clipped.norm() - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_sum_keeps_what_only_one_has() {
        let device = Device::flex();
        let one = FlatGradients(vec![Some(Tensor::from_floats([1.0], &device)), None]);
        let two = FlatGradients(vec![Some(Tensor::from_floats([2.0], &device)), None]);
        let sum = one.plus(two);
        assert!(sum.0[1].is_none());
        assert!((sum.norm() - 3.0).abs() < 1e-6);
    }
}

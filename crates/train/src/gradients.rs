//! Gradients of a step: summed over batches, and their global norm.

use std::collections::BTreeMap;

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Gradients, Tensor};
use weft_kernels::square_sum;

/// Gradients by the path of their parameter, each as one dimension. Parameters that took no part in
/// the loss have none.
pub struct NamedGradients(pub BTreeMap<String, Tensor<1>>);

impl NamedGradients {
    /// Takes the gradients of `module`'s parameters out of `gradients`.
    pub fn take<M: Module>(module: &M, mut gradients: Gradients) -> Self {
        let mut taker =
            Taker { gradients: &mut gradients, taken: BTreeMap::new(), path: Vec::new() };
        module.visit(&mut taker);
        Self(taker.taken)
    }

    /// Adds the gradients of another batch.
    pub fn plus(mut self, other: Self) -> Self {
        for (path, gradient) in other.0 {
            let sum = match self.0.remove(&path) {
                Some(sum) => sum + gradient,
                None => gradient,
            };
            self.0.insert(path, sum);
        }
        self
    }

    /// The square root of the sum of squares over all gradients.
    pub fn norm(&self) -> f64 {
        let squares: Vec<Tensor<1>> = self.0.values().cloned().map(square_sum).collect();
        if squares.is_empty() {
            return 0.0;
        }
        // One readback for all, added up in the order of the paths.
        let squares = Tensor::cat(squares, 0).into_data();
        squares.iter::<f32>().map(f64::from).sum::<f64>().sqrt()
    }
}

/// What gradients of this norm are multiplied by, so that their global norm is at most `limit`
/// (Pascanu et al. 2013; not each tensor by its own norm). A norm that is not finite is the caller's
/// to report.
pub fn clip_factor(norm: f64, limit: f64) -> f64 {
    if norm > limit && norm.is_finite() { limit / norm } else { 1.0 }
}

struct Taker<'a> {
    gradients: &'a mut Gradients,
    taken: BTreeMap<String, Tensor<1>>,
    path: Vec<String>,
}

impl ModuleVisitor for Taker<'_> {
    fn enter_module(&mut self, name: &str, _container_type: &str) {
        self.path.push(name.to_string());
    }

    fn exit_module(&mut self, _name: &str, _container_type: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = param.val().grad_remove(self.gradients) {
            let count = gradient.shape().num_elements();
            self.taken.insert(self.path.join("."), gradient.reshape([count]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn gradients(values: &[(&str, &[f32])]) -> NamedGradients {
        let device = Device::flex();
        let named = |(path, values): &(&str, &[f32])| {
            (path.to_string(), Tensor::from_floats(*values, &device))
        };
        NamedGradients(values.iter().map(named).collect())
    }

    #[test]
    fn the_norm_is_over_all_tensors() {
        let norm = gradients(&[("a", &[3.0]), ("b", &[0.0, 4.0])]).norm();
        assert!((norm - 5.0).abs() < 1e-6);
        assert!((norm * clip_factor(norm, 1.0) - 1.0).abs() < 1e-12);
    }

    #[test]
    fn small_gradients_stay() {
        assert_eq!(clip_factor(0.5, 1.0), 1.0);
        assert_eq!(clip_factor(f64::INFINITY, 1.0), 1.0);
    }

    #[test]
    fn a_sum_keeps_what_only_one_has() {
        let one = gradients(&[("a", &[1.0])]);
        let two = gradients(&[("a", &[2.0]), ("b", &[4.0])]);
        let sum = one.plus(two);
        assert_eq!(sum.0.keys().collect::<Vec<_>>(), ["a", "b"]);
        assert!((sum.norm() - 5.0).abs() < 1e-6);
    }
}

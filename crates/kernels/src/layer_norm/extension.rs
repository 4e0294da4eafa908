//! Layer norm as an extension of Burn's backends, and its place in the autodiff graph.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

/// Backends that have layer norm in one pass.
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "fusion")
)]
pub trait LayerNormOps: Backend {
    /// `(x - mean(x)) / sqrt(var(x) + epsilon) gamma + beta` over the last dimension.
    #[fusion(dtype = x, shape = x)]
    fn layer_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self>;

    /// `s = x + branch`, and its layer norm.
    #[fusion(default)]
    fn residual_layer_norm_forward(
        x: FloatTensor<Self>,
        branch: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let sum = Self::float_add(x, branch);
        (sum.clone(), Self::layer_norm_forward(sum, gamma, beta, epsilon))
    }

    /// The gradients of `x`, `gamma` and `beta`. With `y = (x - mean(x)) / deviation` and `h =
    /// gradient gamma`, that of `x` is `(h - mean(h) - y mean(h y)) / deviation`.
    #[fusion(meta = |x, gamma, _gradient, _epsilon| (x.clone(), gamma.clone(), gamma.clone()))]
    fn layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

#[derive(Debug)]
struct LayerNorm;

impl<B: LayerNormOps> Backward<B, 3> for LayerNorm {
    /// `x`, `gamma`, epsilon
    type State = (B::FloatTensorPrimitive, B::FloatTensorPrimitive, f64);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let (x, gamma, epsilon) = ops.state;
        let (dx, dgamma, dbeta) = B::layer_norm_backward(x, gamma, gradient, epsilon);
        for (parent, gradient) in ops.parents.into_iter().zip([dx, dgamma, dbeta]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

/// A sum, whose gradient is that of both its terms.
#[derive(Debug)]
struct Residual;

impl<B: Backend> Backward<B, 2> for Residual {
    type State = ();

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        for parent in ops.parents.into_iter().flatten() {
            grads.register::<B>(parent.id, gradient.clone());
        }
    }
}

impl<B: LayerNormOps, C: CheckpointStrategy> LayerNormOps for Autodiff<B, C> {
    fn layer_norm_forward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (gamma, gamma_node) = gamma.into_parts();
        let (beta, beta_node) = beta.into_parts();
        match LayerNorm.prepare::<C>([x_node, gamma_node, beta_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(
                (x.clone(), gamma.clone(), epsilon),
                B::layer_norm_forward(x, gamma, beta, epsilon),
            ),
            OpsKind::UnTracked(prep) => prep.finish(B::layer_norm_forward(x, gamma, beta, epsilon)),
        }
    }

    /// One pass, two nodes of the graph: the norm's parent is the sum.
    fn residual_layer_norm_forward(
        x: FloatTensor<Self>,
        branch: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        let (x, x_node) = x.into_parts();
        let (branch, branch_node) = branch.into_parts();
        let (gamma, gamma_node) = gamma.into_parts();
        let (beta, beta_node) = beta.into_parts();
        let (sum, normed) = B::residual_layer_norm_forward(x, branch, gamma.clone(), beta, epsilon);
        let sum = match Residual.prepare::<C>([x_node, branch_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish((), sum),
            OpsKind::UnTracked(prep) => prep.finish(sum),
        };
        let (value, sum_node) = sum.clone().into_parts();
        let prep = LayerNorm.prepare::<C>([sum_node, gamma_node, beta_node]).compute_bound();
        let normed = match prep.stateful() {
            OpsKind::Tracked(prep) => prep.finish((value, gamma, epsilon), normed),
            OpsKind::UnTracked(prep) => prep.finish(normed),
        };
        (sum, normed)
    }

    fn layer_norm_backward(
        _x: FloatTensor<Self>,
        _gamma: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
        _epsilon: f64,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unimplemented!("there is no second derivative")
    }
}

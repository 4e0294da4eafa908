//! Linear cross-entropy as an extension of Burn's backends, and its place in the autodiff graph.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
#[cfg(feature = "fusion")]
use burn::backend::fusion::custom::TensorSpec;
use burn::backend::tensor::{FloatTensor, IntTensor};
use burn::backend::{Autodiff, Backend, TensorMetadata, backend_extension};
use burn::tensor::Shape;

/// Backends that have linear cross-entropy without the logits as a tensor. Shapes are those of
/// [`linear_cross_entropy`](crate::linear_cross_entropy()).
// Five tensors are what there is to return; the macro takes no alias for a tuple.
#[allow(clippy::type_complexity)]
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "fusion")
)]
pub trait LinearCrossEntropyOps: Backend {
    /// The loss, `[1]`, and the most probable class of each item, `[items]`.
    #[fusion(meta = |hidden, _weight, _bias, class| {
        (TensorSpec::new([1].into(), hidden.dtype), class.clone())
    })]
    fn linear_cross_entropy_forward(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        class: IntTensor<Self>,
    ) -> (FloatTensor<Self>, IntTensor<Self>);

    /// As the forward pass, and then the gradients of `hidden`, `weight` and `bias` for a gradient
    /// of 1 of the loss. With `d_ic = (softmax(logits_i)_c - [c = class_i]) / items` they are
    /// `d weight`, `d^T hidden` and the sum of the rows of `d`.
    ///
    /// Computed in the forward pass they need no logits again: later they are only scaled.
    #[fusion(meta = |hidden, weight, bias, class| {
        let loss = TensorSpec::new([1].into(), hidden.dtype);
        (loss, class.clone(), hidden.clone(), weight.clone(), bias.clone())
    })]
    fn linear_cross_entropy_with_gradients(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        class: IntTensor<Self>,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

#[derive(Debug)]
struct LinearCrossEntropy;

impl<B: LinearCrossEntropyOps> Backward<B, 3> for LinearCrossEntropy {
    /// The gradients of `hidden`, `weight` and `bias` for a gradient of 1.
    type State = [B::FloatTensorPrimitive; 3];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        for (parent, slopes) in ops.parents.into_iter().zip(ops.state) {
            if let Some(parent) = parent {
                let ones = vec![1; slopes.shape().num_dims()];
                let gradient = B::float_reshape(gradient.clone(), Shape::from(ones));
                grads.register::<B>(parent.id, B::float_mul(slopes, gradient));
            }
        }
    }
}

impl<B: LinearCrossEntropyOps, C: CheckpointStrategy> LinearCrossEntropyOps for Autodiff<B, C> {
    fn linear_cross_entropy_forward(
        hidden: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        class: IntTensor<Self>,
    ) -> (FloatTensor<Self>, IntTensor<Self>) {
        let (hidden, hidden_node) = hidden.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let (bias, bias_node) = bias.into_parts();
        let nodes = [hidden_node, weight_node, bias_node];
        match LinearCrossEntropy.prepare::<C>(nodes).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (loss, best, dhidden, dweight, dbias) =
                    B::linear_cross_entropy_with_gradients(hidden, weight, bias, class);
                (prep.finish([dhidden, dweight, dbias], loss), best)
            }
            OpsKind::UnTracked(prep) => {
                let (loss, best) = B::linear_cross_entropy_forward(hidden, weight, bias, class);
                (prep.finish(loss), best)
            }
        }
    }

    fn linear_cross_entropy_with_gradients(
        _hidden: FloatTensor<Self>,
        _weight: FloatTensor<Self>,
        _bias: FloatTensor<Self>,
        _class: IntTensor<Self>,
    ) -> (FloatTensor<Self>, IntTensor<Self>, FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>)
    {
        unimplemented!("there is no second derivative")
    }
}

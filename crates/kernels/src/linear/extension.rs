//! Linear layers as an extension of Burn's backends, and their place in the autodiff graph.

use burn::backend::autodiff::NodeId;
use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

use crate::gelu::extension::GeluOps;

/// Backends that have linear layers in one pass. Shapes are those of [`linear`](crate::linear()).
#[backend_extension(Flex, Autodiff)]
pub trait LinearOps: Backend {
    /// `x W + b`
    fn linear_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// `x W`
    fn linear_without_bias_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// `gelu(x W + b)`
    fn linear_gelu_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// `gelu(h)` and `h = x W + b`
    fn linear_gelu_forward_keeping(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);

    /// The gradient of the input: `G W^T`, with `G` the gradient of the output.
    fn linear_input_gradient(
        weight: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// The gradients of weight and bias: `x^T G`, and the sum of `G` over its rows.
    fn linear_parameter_gradients(
        x: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>);
}

/// Registers a linear layer's gradients with those of `[x, weight, bias]` that want them.
fn register<B: LinearOps>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    gradient: FloatTensor<B>,
    [x_id, weight_id, bias_id]: [Option<NodeId>; 3],
    grads: &mut Gradients,
) {
    if weight_id.is_some() || bias_id.is_some() {
        let (dw, db) = B::linear_parameter_gradients(x, gradient.clone());
        for (id, gradient) in [(weight_id, dw), (bias_id, db)] {
            if let Some(id) = id {
                grads.register::<B>(id, gradient);
            }
        }
    }
    if let Some(id) = x_id {
        grads.register::<B>(id, B::linear_input_gradient(weight, gradient));
    }
}

#[derive(Debug)]
struct Linear;

impl<B: LinearOps> Backward<B, 3> for Linear {
    /// `x`, weight
    type State = [B::FloatTensorPrimitive; 2];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [x, weight] = ops.state;
        let ids = ops.parents.map(|parent| parent.map(|parent| parent.id));
        register::<B>(x, weight, gradient, ids, grads);
    }
}

#[derive(Debug)]
struct LinearWithoutBias;

impl<B: LinearOps> Backward<B, 2> for LinearWithoutBias {
    /// `x`, weight
    type State = [B::FloatTensorPrimitive; 2];

    fn backward(self, ops: Ops<Self::State, 2>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [x, weight] = ops.state;
        let [x_id, weight_id] = ops.parents.map(|parent| parent.map(|parent| parent.id));
        register::<B>(x, weight, gradient, [x_id, weight_id, None], grads);
    }
}

#[derive(Debug)]
struct LinearGelu;

impl<B: LinearOps + GeluOps> Backward<B, 3> for LinearGelu {
    /// `x`, weight, `h`
    type State = [B::FloatTensorPrimitive; 3];

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let [x, weight, hidden] = ops.state;
        let gradient = <B as GeluOps>::gelu_backward(hidden, gradient);
        let ids = ops.parents.map(|parent| parent.map(|parent| parent.id));
        register::<B>(x, weight, gradient, ids, grads);
    }
}

impl<B: LinearOps + GeluOps, C: CheckpointStrategy> LinearOps for Autodiff<B, C> {
    fn linear_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let (bias, bias_node) = bias.into_parts();
        match Linear.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                prep.finish([x.clone(), weight.clone()], B::linear_forward(x, weight, bias))
            }
            OpsKind::UnTracked(prep) => prep.finish(B::linear_forward(x, weight, bias)),
        }
    }

    fn linear_without_bias_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (weight, weight_node) = weight.into_parts();
        match LinearWithoutBias.prepare::<C>([x_node, weight_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let y = B::linear_without_bias_forward(x.clone(), weight.clone());
                prep.finish([x, weight], y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::linear_without_bias_forward(x, weight)),
        }
    }

    fn linear_gelu_forward(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        let (x, x_node) = x.into_parts();
        let (weight, weight_node) = weight.into_parts();
        let (bias, bias_node) = bias.into_parts();
        match LinearGelu.prepare::<C>([x_node, weight_node, bias_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => {
                let (y, hidden) = B::linear_gelu_forward_keeping(x.clone(), weight.clone(), bias);
                prep.finish([x, weight, hidden], y)
            }
            OpsKind::UnTracked(prep) => prep.finish(B::linear_gelu_forward(x, weight, bias)),
        }
    }

    fn linear_gelu_forward_keeping(
        _x: FloatTensor<Self>,
        _weight: FloatTensor<Self>,
        _bias: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unimplemented!("what is kept is not differentiable")
    }

    fn linear_input_gradient(
        _weight: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
    ) -> FloatTensor<Self> {
        unimplemented!("there is no second derivative")
    }

    fn linear_parameter_gradients(
        _x: FloatTensor<Self>,
        _gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>) {
        unimplemented!("there is no second derivative")
    }
}

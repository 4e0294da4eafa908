//! Attention as an extension of Burn's backends, and its place in the autodiff graph.

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::CheckpointStrategy;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, backend_extension};

/// Backends that have attention without its weights as a tensor. Shapes are those of
/// [`attention`](crate::attention()).
#[backend_extension(
    Flex: cfg(feature = "flex"),
    Cube: cfg(feature = "cube"),
    Autodiff,
    Fusion: cfg(feature = "fusion")
)]
pub trait AttentionOps: Backend {
    /// `P v` with `P = softmax(q k^T / sqrt(head_width) + bias)`, head by head.
    #[fusion(dtype = q, shape = q)]
    fn attention_forward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self>;

    /// The gradients of `q`, `k` and `v`. With `G` the gradient of the output, `dP = G v^T` and `dS =
    /// P (dP - rowsum(P dP)) / sqrt(head_width)`, they are `dS k`, `dS^T q` and `P^T G`.
    #[fusion(meta = |q, k, v, _bias, _heads, _gradient| (q.clone(), k.clone(), v.clone()))]
    fn attention_backward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
        gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

#[derive(Debug)]
struct Attention;

impl<B: AttentionOps> Backward<B, 3> for Attention {
    /// `q`, `k`, `v`, bias, heads
    type State = ([B::FloatTensorPrimitive; 4], usize);

    fn backward(self, ops: Ops<Self::State, 3>, grads: &mut Gradients, _: &mut Checkpointer) {
        let gradient = grads.consume::<B>(&ops.node);
        let ([q, k, v, bias], heads) = ops.state;
        let (dq, dk, dv) = B::attention_backward(q, k, v, bias, heads, gradient);
        for (parent, gradient) in ops.parents.into_iter().zip([dq, dk, dv]) {
            if let Some(parent) = parent {
                grads.register::<B>(parent.id, gradient);
            }
        }
    }
}

impl<B: AttentionOps, C: CheckpointStrategy> AttentionOps for Autodiff<B, C> {
    fn attention_forward(
        q: FloatTensor<Self>,
        k: FloatTensor<Self>,
        v: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        heads: usize,
    ) -> FloatTensor<Self> {
        let (q, q_node) = q.into_parts();
        let (k, k_node) = k.into_parts();
        let (v, v_node) = v.into_parts();
        let bias = bias.into_primitive();
        match Attention.prepare::<C>([q_node, k_node, v_node]).compute_bound().stateful() {
            OpsKind::Tracked(prep) => prep.finish(
                ([q.clone(), k.clone(), v.clone(), bias.clone()], heads),
                B::attention_forward(q, k, v, bias, heads),
            ),
            OpsKind::UnTracked(prep) => prep.finish(B::attention_forward(q, k, v, bias, heads)),
        }
    }

    fn attention_backward(
        _q: FloatTensor<Self>,
        _k: FloatTensor<Self>,
        _v: FloatTensor<Self>,
        _bias: FloatTensor<Self>,
        _heads: usize,
        _gradient: FloatTensor<Self>,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>) {
        unimplemented!("there is no second derivative")
    }
}
